"""The words of the house: host, client, offer, install, release. Standard library, frozen dataclasses, enums."""

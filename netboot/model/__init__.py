"""The domain types: host, client, offer, install, release. Standard library, frozen dataclasses, enums."""

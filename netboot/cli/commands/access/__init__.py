"""The commands of users and API tokens."""

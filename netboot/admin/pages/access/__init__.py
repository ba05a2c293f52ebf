"""The pages of access: login, users and API tokens."""

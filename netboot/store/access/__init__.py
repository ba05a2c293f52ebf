"""The tables of users, API tokens and sessions."""

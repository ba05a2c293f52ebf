"""The routes of users, API tokens, and of who sends a request."""

"""The routes of rollouts."""

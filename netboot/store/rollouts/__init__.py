"""The tables of rollouts."""

"""What a rollout does next, and its schedule. Pure."""

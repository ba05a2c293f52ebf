"""What is printed of rollouts."""

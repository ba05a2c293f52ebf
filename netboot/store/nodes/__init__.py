"""What is known of the installed nodes."""

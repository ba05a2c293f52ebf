"""What an install is: its states, its tokens, its events."""

"""What an operator may request, with a daemon or without one: arm, cancel, show, use of content."""

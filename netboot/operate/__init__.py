"""The requests of an operator, with a daemon or without one: arm, cancel, show, use of content."""

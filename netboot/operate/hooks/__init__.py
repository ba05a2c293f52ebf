"""Events that are delivered to web servers and commands: queued, sent, repeated."""

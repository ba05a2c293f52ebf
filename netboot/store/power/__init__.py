"""The table of power intents."""

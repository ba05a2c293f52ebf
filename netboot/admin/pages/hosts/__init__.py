"""The page of one host: its state and actions, boots, log, and what it would receive."""

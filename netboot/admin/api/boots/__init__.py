"""The routes of boots, logs and captures."""

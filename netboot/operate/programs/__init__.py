"""Programs that the settings name: run without a shell, within limits."""

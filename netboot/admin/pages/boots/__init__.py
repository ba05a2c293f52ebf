"""What the pages of hosts and of unregistered machines show of boots: timeline, list, log."""

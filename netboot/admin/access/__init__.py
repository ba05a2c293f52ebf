"""Who sends a request to the administration, and whether it may."""

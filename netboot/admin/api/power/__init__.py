"""The routes of the power of machines, and of their BMCs."""

"""Commands about boot media and releases."""

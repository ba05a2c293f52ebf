"""The page of media and releases."""

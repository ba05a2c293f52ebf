"""Use cases of media and releases: uploads, and their imports."""

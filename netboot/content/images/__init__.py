"""The container images of the library."""

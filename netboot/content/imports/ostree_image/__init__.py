"""Imports ostree container images: the release that they hold, and the image itself."""

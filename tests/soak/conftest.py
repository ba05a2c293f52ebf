"""Content that clients send."""

from daemon.test_uploads import archive

__all__ = ["archive"]

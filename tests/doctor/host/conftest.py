"""The healthy appliance of the content's tests, and one of its hosts."""

from doctor.content.conftest import appliance, healthy_files

__all__ = ["appliance", "healthy_files"]

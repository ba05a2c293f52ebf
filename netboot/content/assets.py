"""The files that come with netboot: in the wheel `netboot/_assets`, in a checkout `assets/` beside the package."""

from pathlib import Path

from netboot.errors import ContentError


def assets_directory() -> Path:
    """Return the directory of the files that come with netboot; raise ContentError if there is none."""
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "_assets", package.parent / "assets"):
        if candidate.is_dir():
            return candidate
    raise ContentError(f"cannot find netboot's assets beside {package}: install the wheel, or run from a checkout")

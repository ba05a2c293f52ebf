"""Where the files that come with netboot lie: templates, the dashboard, examples, the lab's scripts.

Inside the wheel they are `netboot/_assets`; in a checkout they are `assets/` beside the package.
"""

from pathlib import Path

from netboot.errors import ContentError


def assets_directory() -> Path:
    """Return the directory of the files that come with netboot; raise ContentError when there is none."""
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "_assets", package.parent / "assets"):
        if candidate.is_dir():
            return candidate
    raise ContentError(f"cannot find netboot's assets beside {package}: install the wheel, or run from a checkout")

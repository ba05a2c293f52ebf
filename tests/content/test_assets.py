"""The files that come with netboot are found beside the package."""

from pathlib import Path

import netboot
from netboot.content.assets import assets_directory


def test_a_checkout_has_its_assets_beside_the_package():
    directory = assets_directory()

    assert directory == Path(netboot.__file__).resolve().parents[1] / "assets"
    assert {"templates", "examples"} <= {path.name for path in directory.iterdir()}

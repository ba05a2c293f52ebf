"""The files that come with netboot are found beside the package."""

from pathlib import Path

import pytest

import netboot
from netboot.content import assets
from netboot.errors import ContentError


def test_the_wheels_directory_comes_before_that_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "netboot"
    (package / "content").mkdir(parents=True)
    monkeypatch.setattr(assets, "__file__", str(package / "content" / "assets.py"))

    with pytest.raises(ContentError) as missing:
        assets.assets_directory()
    (tmp_path / "assets").mkdir()
    in_the_checkout = assets.assets_directory()
    (package / "_assets").mkdir()

    assert str(missing.value) == (
        f"cannot find netboot's assets beside {package}: install the wheel, or run from a checkout"
    )
    assert in_the_checkout == tmp_path / "assets"
    assert assets.assets_directory() == package / "_assets"


def test_a_checkout_has_its_assets_beside_the_package() -> None:
    directory = assets.assets_directory()

    assert directory == Path(netboot.__file__).resolve().parents[1] / "assets"
    assert {"templates", "examples"} <= {path.name for path in directory.iterdir()}

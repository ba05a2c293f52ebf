"""A library, and imports of images into it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from netboot.content.images.image_import import ImportedImages, import_images
from netboot.content.images.image_store import ImageStore
from netboot.content.library.library import Library
from netboot.model.image_name import ImageName

Import = Callable[..., ImportedImages]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "content")


@pytest.fixture
def store(library: Library) -> ImageStore:
    return ImageStore(library.directory)


@pytest.fixture
def imported(library: Library) -> Import:
    def run(source: Path, name: str = "") -> ImportedImages:
        return import_images(library, source, ImageName.parse(name) if name else None)

    return run

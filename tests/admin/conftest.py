"""The appliance in one process that the tests of its administration share: files for a module, a box for a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content and the Ignition files of the appliances of one module; no test changes them."""
    directory = tmp_path_factory.mktemp("shared")
    prepare(directory)
    return directory


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    """An appliance with the hosts of `AT_FIRST`; nothing is armed."""
    link_shared(shared, tmp_path)
    box = Appliance(tmp_path, AT_FIRST.text())
    yield box
    box.close()

"""The files that every appliance of the safety tests shares, in memory where the box has /dev/shm."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from safety.appliance import prepare


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="netboot-safety-", dir=memory if memory.is_dir() else None))
    try:
        (directory / "shared").mkdir()
        prepare(directory / "shared")
        yield directory / "shared"
    finally:
        shutil.rmtree(directory)

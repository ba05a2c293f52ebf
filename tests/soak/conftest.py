"""A loaded daemon of which no request may fail, and content that clients send."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon.test_uploads import archive
from reliability.loaded_rack import SQLITE, LoadedRack, a_loaded_rack
from soak.soak_clients import SEED

__all__ = ["archive"]


@pytest.fixture
def loaded(tmp_path: Path, archive: bytes) -> Iterator[LoadedRack]:
    with a_loaded_rack(tmp_path, SQLITE, seed=SEED, archive=archive, may_fail=False) as loaded:
        yield loaded

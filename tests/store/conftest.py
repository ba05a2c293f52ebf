"""A ledger on disk."""

from pathlib import Path

import pytest


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/netboot.db"

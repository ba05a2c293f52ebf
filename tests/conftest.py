"""Fixtures for all tests."""

from collections.abc import Iterator

import postgresql
import pytest


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """Run Debian's PostgreSQL; a test calls `new_database()` for an empty database of its own."""
    with postgresql.running_server() as server:
        yield server

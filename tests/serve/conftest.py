"""The limit of descriptors of this process, which a test may lower."""

import resource
from collections.abc import Callable, Iterator

import pytest

Limit = Callable[[int], None]


@pytest.fixture
def limit() -> Iterator[Limit]:
    """Set the limit of descriptors; it is restored."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda descriptors: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)

"""How the tests are distributed where several processes run them (.ci/pytest): by file, the longest first.

Each process collects all tests, and pytest refuses to run them if two processes have other names for them: the
parameters of a test are the same each time. Compress with `mtime=0`.
"""

from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

# These tests run beside each other in one process, two at once (tests/e2e/conftest.py).
IN_ONE_PROCESS: Final = "tests/e2e/"
# The directories whose files take longest. What starts last should be short, because the other process waits for it.
LONGEST: Final = (IN_ONE_PROCESS, "tests/safety/", "tests/browser/", "tests/daemon/", "tests/integration/")


class ByFile(LoadFileScheduling):
    """Give a process a whole file at a time, so that the fixtures of a module are made once."""

    def _split_scope(self, nodeid: str) -> str:
        return IN_ONE_PROCESS if nodeid.startswith(IN_ONE_PROCESS) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Distribute by file, in the order of the collected tests."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest tests first where several processes run them."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((place for place, each in enumerate(LONGEST) if item.nodeid.startswith(each)), len(LONGEST))

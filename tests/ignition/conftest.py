"""Finds the programs of other projects that verify our files."""

import shutil
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Find a program of another project, or fail: the Makefile installs them all."""

    def find(name: str) -> str:
        for directory in (None, "/usr/lib/dracut/modules.d/30ignition"):
            if found := shutil.which(name, path=directory):
                return found
        pytest.fail(f"{name} is not installed; make test installs it")

    return find

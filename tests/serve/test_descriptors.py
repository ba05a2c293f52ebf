"""A listener gets a part of the descriptors that this process has, so that some are left for files."""

import resource
from collections.abc import Iterator

import pytest

from netboot.serve.net.descriptors import part_of_descriptors


@pytest.fixture
def limits() -> Iterator[int]:
    """Restore the limits, and give the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("descriptors", "of_boot_lan", "of_admin"),
    [(16_384, 12_288, 128), (1_024, 768, 64)],
)
def test_a_low_limit_of_descriptors_leaves_some_beside_the_connections(
    limits: int, descriptors: int, of_boot_lan: int, of_admin: int
):
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, limits))

    assert (part_of_descriptors(49_152), part_of_descriptors(512)) == (of_boot_lan, of_admin)
    assert part_of_descriptors(3) == 3

"""Two appliances on one PostgreSQL, the model of `two_boxes.py`: a short run in each `make test`, and a long one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from postgresql import Server
from safety import two_boxes

pytestmark = pytest.mark.integration


@pytest.fixture
def new_urls(postgresql_server: Server) -> Callable[[], Callable[[str], str]]:
    return two_boxes.urls_on(postgresql_server)


def test_a_boot_that_both_boxes_serve_breaks_no_invariant(shared: Path, new_urls: Callable[[], Callable[[str], str]]):
    two_boxes.walk(shared, new_urls)


def test_no_sequence_breaks_an_invariant_with_two_boxes(shared: Path, new_urls: Callable[[], Callable[[str], str]]):
    happened = two_boxes.run(shared, new_urls, seed=1, examples=4, steps=25)

    assert happened["led"] > 0


@pytest.mark.proof
@pytest.mark.parametrize("seed", [2, 3])
def test_no_long_sequence_breaks_an_invariant_with_two_boxes(
    seed: int, shared: Path, new_urls: Callable[[], Callable[[str], str]]
):
    happened = two_boxes.run(shared, new_urls, seed=seed, examples=20, steps=30)

    assert happened["led"] > 0

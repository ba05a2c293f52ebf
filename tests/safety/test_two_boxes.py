"""Two appliances on one PostgreSQL, the model of `two_boxes.py`: a short run in each `make test`, and a long one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from postgresql import Server
from safety import two_boxes

pytestmark = pytest.mark.integration


@pytest.fixture
def new_urls(postgresql_server: Server) -> Callable[[], Callable[[str], str]]:
    """Return what makes a database, and the URL of it for a role of each box."""

    def make() -> Callable[[str], str]:
        url = postgresql_server.new_database(roles=("box0", "box1"))
        return lambda role: url.replace("postgres@", f"{role}@")

    return make


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

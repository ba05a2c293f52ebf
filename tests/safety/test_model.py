"""The model of `model.py`: with the same seeds in each `make test`, with a new one in each `make mutations`.

A failure has the calls that lead to it as they were drawn; with `NETBOOT_MODEL_SHRINK=1` the shortest ones, up to five
minutes later.
"""

import os
import random
import sys
from pathlib import Path

import pytest
from safety import model, once_model

EXAMPLES = 40  # a third of a second of processor time each
SEED = "NETBOOT_MODEL_SEED"
IS_SHRUNK = bool(os.environ.get("NETBOOT_MODEL_SHRINK"))


def test_nothing_that_happens_in_the_middle_of_an_install_breaks_an_invariant(shared: Path):
    model.walk(shared)


@pytest.mark.parametrize("seed", [1, 1861923312])
def test_no_sequence_of_messages_and_commands_breaks_an_invariant(seed: int, shared: Path):
    model.run(shared, seed=seed, examples=EXAMPLES, is_shrunk=IS_SHRUNK)


@pytest.mark.parametrize("seed", [1, 7])
def test_no_sequence_wipes_a_registered_machine_or_boots_what_is_once_twice(seed: int, shared: Path):
    once_model.run(shared, seed=seed, examples=EXAMPLES // 2, is_shrunk=IS_SHRUNK)


@pytest.mark.mutation
def test_no_other_sequence_breaks_an_invariant(shared: Path):
    seed = int(os.environ.get(SEED, random.SystemRandom().randrange(2**32)))
    sys.stdout.write(f"to have this run again: {SEED}={seed} pytest {Path(__file__).name}\n")  # shown where it fails

    model.run(shared, seed=seed, examples=5 * EXAMPLES, is_shrunk=IS_SHRUNK)
    once_model.run(shared, seed=seed, examples=5 * EXAMPLES, is_shrunk=IS_SHRUNK)

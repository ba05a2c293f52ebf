"""The model of `model.py`, with a seed that stays and with one that differs in each run."""

import os
import random
import sys
from pathlib import Path

import pytest
from safety import model

EXAMPLES = 12  # some 3 s of processor time each; the walks, the seeded faults and each new seed do the rest
SEED = "NETBOOT_MODEL_SEED"


def test_nothing_that_happens_in_the_middle_of_an_install_breaks_an_invariant(shared: Path):
    model.walk(shared)


def test_no_sequence_of_messages_and_commands_breaks_an_invariant(shared: Path):
    model.run(shared, seed=1, examples=EXAMPLES)


@pytest.mark.mutation
def test_no_other_sequence_breaks_an_invariant(shared: Path):
    seed = int(os.environ.get(SEED, random.SystemRandom().randrange(2**32)))
    sys.stdout.write(f"to have this run again: {SEED}={seed} pytest {Path(__file__).name}\n")  # shown where it fails

    model.run(shared, seed=seed, examples=EXAMPLES)

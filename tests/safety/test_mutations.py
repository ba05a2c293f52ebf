"""The model finds each fault that is inserted into netboot. `make mutations` runs all, `make test` the quickest."""

from pathlib import Path

import pytest
from safety.mutants import REPOSITORY, run_model_on, seeded
from safety.mutations import MUTATIONS, OF_TWO_BOXES, Mutation

QUICKEST = (0, 9, 14)  # two seconds of processor time each


@pytest.mark.parametrize("mutation", [*MUTATIONS, *OF_TWO_BOXES], ids=lambda mutation: mutation.name)
def test_the_place_of_each_fault_is_found_once(mutation: Mutation):
    text = (REPOSITORY / "netboot" / mutation.file).read_text()

    assert text.count(mutation.before) == 1
    assert mutation.before != mutation.after


@pytest.mark.parametrize("number", QUICKEST, ids=lambda number: MUTATIONS[number].name)
def test_the_model_finds_a_seeded_fault(number: int, tmp_path: Path, shared: Path):
    mutation = MUTATIONS[number]

    found = run_model_on(seeded(mutation, tmp_path), shared, mutation.caught_by)

    assert found.startswith(f"invariant {mutation.caught_by.value}: "), found


@pytest.mark.mutation
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_model_finds_every_seeded_fault(mutation: Mutation, tmp_path: Path, shared: Path):
    found = run_model_on(seeded(mutation, tmp_path), shared, mutation.caught_by)

    assert found.startswith(f"invariant {mutation.caught_by.value}: "), found


@pytest.mark.mutation
@pytest.mark.parametrize("mutation", OF_TWO_BOXES, ids=lambda mutation: mutation.name)
def test_the_model_of_two_boxes_finds_every_seeded_fault_of_two(mutation: Mutation, tmp_path: Path, shared: Path):
    found = run_model_on(seeded(mutation, tmp_path), shared, mutation.caught_by, boxes=2)

    assert found.startswith(f"invariant {mutation.caught_by.value}: "), found

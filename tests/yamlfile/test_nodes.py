"""Values of a tree, found by their path."""

import pytest

from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import KeyPath, Node, dotted, find, find_nearest, written_path
from netboot.yamlfile.positions import parse


@pytest.fixture
def tree() -> Node:
    tree = parse("a: {b: [x, {c: y}]}\nd: z\n", "f.yaml", Faults())
    assert tree is not None
    return tree


@pytest.mark.parametrize(
    ("path", "place", "nearest"),
    [
        ((), "f.yaml:1:1", "f.yaml:1:1"),
        (("a", "b", 0), "f.yaml:1:9", "f.yaml:1:9"),
        (("a", "b", 1, "c"), "f.yaml:1:16", "f.yaml:1:16"),
        (("a", "b", 2), None, "f.yaml:1:8"),
        (("a", "b", "c"), None, "f.yaml:1:8"),
        (("a", 0), None, "f.yaml:1:4"),
        (("d", "e"), None, "f.yaml:2:4"),
        (("x", "y"), None, "f.yaml:1:1"),
    ],
)
def test_a_value_is_found_by_its_path(tree: Node, path: KeyPath, place: str | None, nearest: str):
    found = find(tree, path)

    assert (None if found is None else str(found.place)) == place
    assert str(find_nearest(tree, path).place) == nearest


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("d", "e"), ("d",)),
        (("d", 0), ("d",)),
        (("a", "b", 0, "name", 1), ("a", "b", 0)),
        (("a", "b", 1, "x"), ("a", "b", 1, "x")),
        ((), ()),
    ],
)
def test_a_path_into_a_single_value_ends_at_that_value(tree: Node, path: KeyPath, written: KeyPath):
    assert written_path(tree, path) == written


def test_a_path_is_shown_as_operators_write_it():
    assert dotted(("network", "interfaces", 0, "name")) == "network.interfaces[0].name"

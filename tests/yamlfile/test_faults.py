"""What a message shows: places, quoted text, and the name that was probably meant."""

from pathlib import Path

import pytest

from netboot.yamlfile.faults import Faults, Place, beside, did_you_mean, nearest, shown


def test_a_place_is_shown_as_editors_take_it():
    assert [str(place) for place in (Place("f.yaml"), Place("f.yaml", 3, 4))] == ["f.yaml", "f.yaml:3:4"]


def test_a_warning_is_no_fault():
    faults = Faults()
    faults.warn(Place("f.yaml", 1, 2), "a.b", what="is old", cure="remove it")

    assert ([str(warning) for warning in faults.warnings], len(faults)) == (["f.yaml:1:2: a.b: is old; remove it"], 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a b", "'a b'"), ("x" * 100, f"'{'x' * 59}…'"), ("\x1b[31m", r"'\x1b[31m'"), ("it's", '"it\'s"')],
)
def test_text_of_a_file_is_quoted_without_escapes(text: str, expected: str):
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("word", "meant", "cure"),
    [
        ("rol", "role", "did you mean role?"),
        ("macs", "mac", "did you mean mac?"),
        ("ntp_servers", "ntp", "did you mean ntp?"),
        ("netw", "network", "did you mean network?"),
        ("xyzzy", None, "known here: mac, network, ntp, role"),
    ],
)
def test_an_unknown_name_has_the_nearest_known_one_as_its_cure(word: str, meant: str | None, cure: str):
    known = ["role", "mac", "ntp", "network"]

    assert (nearest(word, known), did_you_mean(word, known)) == (meant, cure)


def test_where_nothing_is_known_an_unknown_name_is_removed():
    assert did_you_mean("x", []) == "remove it"


def test_a_relative_path_begins_at_the_file_that_contains_it():
    assert beside(Path("ign/a.ign"), "/etc/netboot/hosts.yaml") == Path("/etc/netboot/ign/a.ign")
    assert beside(Path("/srv/a.ign"), "/etc/netboot/hosts.yaml") == Path("/srv/a.ign")

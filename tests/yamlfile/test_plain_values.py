"""Values that are written as YAML are read back equal, by our parser and by other readers of YAML."""

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Node
from netboot.yamlfile.plain_values import PlainValue, plain_value, yaml_text
from netboot.yamlfile.positions import parse

SPECIAL = [
    *("no", "No", "y", "N", "on", "off", "true", "TRUE", "false", "null", "Null", "~", "", " ", "=", "<<"),
    *("1.30", "1e3", "1_000", "0o17", "0x1f", "017", "-0", "+1", ".5", ".inf", ".NaN", "12:30", "1:30:59", "9" * 30),
    *("2026-11-21", "2026-11-21T10:00:00Z", "52:54:00:12:34:56", "525400123456", "525400e12345", "192.0.2.101/24"),
    *("a: b", "a:", "#a", "a #b", "- a", "-", "---", "...", "?", "? a", "[a]", "{a: b}", "a, b", "]", "}"),
    *("&a", "*a", "!a", "!!str a", "%a", "@a", "`a", "|", ">", "'", '"', "''", "\\", "\\n", " a", "a ", "é", "😀"),
    *("console=ttyS0,115200", "{{ variables.x }}", "ssh-ed25519 AAAA+/= me@host", "x" * 5000, "a " * 200),
]
TEXTS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=60) | st.sampled_from(SPECIAL)
KEYS = st.text(string.ascii_letters + string.digits + "+._/-", min_size=1, max_size=60)
SCALARS = TEXTS | st.booleans() | st.integers(-(10**17), 10**17)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def parsed(text: str) -> Node:
    faults = Faults()
    node = parse(text, "w1.yaml", faults)
    assert faults.problems == []
    assert node is not None
    return node


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_is_written_is_read_back_equal(values: dict[str, PlainValue]):
    text = yaml_text(values)

    assert plain_value(parsed(text)) == values
    assert yaml.safe_load(text) == values


@pytest.mark.parametrize("text", SPECIAL)
def test_a_text_with_another_meaning_in_yaml_stays_text(text: str):
    written = yaml_text({"key": text, "list": [text]})

    assert plain_value(parsed(written)) == yaml.safe_load(written) == {"key": text, "list": [text]}


def test_numbers_flags_lists_and_tables_are_written_as_a_person_writes_them():
    values = {"role": "worker", "mac": ["52:54:00:aa:bb:01"], "network": {"mtu": 9000}, "disk": {"rotational": False}}

    assert yaml_text({"w1": values}) == (
        "w1:\n"
        "  role: worker\n"
        "  mac:\n"
        "    - 52:54:00:aa:bb:01\n"
        "  network:\n"
        "    mtu: 9000\n"
        "  disk:\n"
        "    rotational: false\n"
    )


def test_a_list_that_two_keys_share_is_written_twice():
    shared = ["192.0.2.1"]

    assert yaml_text({"a": shared, "b": shared}) == "a:\n  - 192.0.2.1\nb:\n  - 192.0.2.1\n"


def test_only_plain_words_of_yaml_are_no_text():
    node = parsed("{a: true, b: True, c: 'true', d: 017, e: 17, f: ~, g: 1.0, h: -3}")

    assert plain_value(node) == {
        "a": True, "b": "True", "c": "true", "d": "017", "e": 17, "f": None, "g": "1.0", "h": -3,
    }  # fmt: skip

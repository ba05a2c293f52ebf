"""YAML files written anew without secrets."""

from collections.abc import Collection, Mapping

from pydantic import Field

from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.nodes import KeyPath
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import Section, described
from netboot.yamlfile.shown_values import as_written, shown_file
from netboot.yamlfile.value_kinds import Flag, Name


class Inner(Section):
    name: Name | None = described(None, "A name.")
    url: Name | None = Field(default=None, repr=False)
    command: tuple[Name, ...] = Field(default=(), repr=False)


class Outer(Section):
    inner: Inner = Inner()
    added: tuple[Name, ...] | None = described(None, "Names.", alias="+names")
    items: tuple[Inner, ...] = described((), "Tables.")
    table: Mapping[Name, Inner] = described({}, "A table.")
    flag: Flag | None = described(None, "A flag.")


def shown(text: str, *, faulty: Collection[Place] = (), value_shown=as_written) -> str:
    return shown_file(Outer, parse(text, "f.yaml", Faults()), faulty=faulty, value_shown=value_shown)


def test_known_keys_are_shown_as_they_are_written():
    text = "inner:\n  name: 1.30\n+names:\n- a\n- '7'\ntable:\n  x:\n    name: b\nflag: true\ninner2: null\n"

    assert shown(text) == text.replace("1.30", "'1.30'")


def test_hidden_and_unknown_keys_have_no_value_and_comments_are_left_out():
    text = "inner: {url: s1, command: [s2, s3], wrong: {deep: [s4]}}\nwrong: s5 # s6\nitems: [s7, {url: s8, name: a}]\n"

    assert shown(text) == (
        "inner:\n  url: hidden\n  command:\n  - hidden\n  - hidden\n  wrong:\n    deep:\n    - hidden\n"
        "wrong: hidden\nitems:\n- s7\n- url: hidden\n  name: a\n"
    )


def test_a_value_with_a_fault_is_hidden_and_so_is_a_user_in_a_url():
    text = "inner: {name: of-a-wrong-type}\ntable: {x: {name: 'http://u:p@h/'}}\n"

    assert shown(text, faulty={Place("f.yaml", 1, 15)}) == (
        "inner:\n  name: hidden\ntable:\n  x:\n    name: http://hidden@h/\n"
    )


def test_the_caller_hides_values_by_their_path():
    def hide(path: KeyPath, text: str) -> str:
        return "-" if path == ("items", 0, "name") else text

    assert shown("items: [{name: a}, {name: b}]", value_shown=hide) == "items:\n- name: '-'\n- name: b\n"


def test_a_list_where_a_table_belongs_and_a_file_without_content():
    assert shown("inner: [a, {b: c}]") == "inner:\n- a\n- b: hidden\n"
    assert shown_file(Outer, None, faulty=()) == "null\n...\n"

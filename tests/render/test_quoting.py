"""Another program's parser reads each value unchanged, or the value is refused."""

import shlex
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.render.console_text import columns
from netboot.render.quoting import (
    FILTERS,
    UnfitValueError,
    grub,
    ipxe,
    ipxe_shown,
    ipxe_text,
    kickstart,
    one_line,
    shell,
)

NASTY = [
    "",
    "plain",
    "a b",
    "it's",
    'say "x"',
    "$HOME",
    "`id`",
    "back\\slash",
    "#no",
    "a;b",
    "a||b",
    "naïve",
    "-n",
    "*",
    "%end",
]
one_line_text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))


@pytest.mark.parametrize("breaker", ["a\nb", "a\rb", "a\x00b", "a\x1bb", "a\x85b", "a\u2028b", "a\x7fb"])
@pytest.mark.parametrize("name", sorted(FILTERS))
def test_no_filter_lets_a_control_character_through(name: str, breaker: str):
    with pytest.raises(UnfitValueError, match="control character"):
        FILTERS[name](breaker)


@given(one_line_text)
def test_a_kickstart_word_is_one_word_again_for_pykickstart(value: str):
    assert shlex.split(f"--option={kickstart(value)}") == [f"--option={value}"]


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("interpreter", ["bash", "dash"])
def test_a_shell_word_is_one_word_again_for_the_shell(value: str, interpreter: str):
    printed = subprocess.run(
        [interpreter, "-c", f"printf %s {shell(value)}"], check=True, capture_output=True, text=True, timeout=10
    ).stdout

    assert printed == value


@pytest.mark.parametrize("value", NASTY)
def test_a_grub_word_is_something_that_grub_can_parse(value: str, tool: Callable[[str], str]):
    judged = subprocess.run(
        [tool("grub-script-check")],
        check=False, input=f"linux /vmlinuz {grub(value)}\n", capture_output=True, text=True, timeout=10,
    )  # fmt: skip

    assert (judged.returncode, judged.stderr) == (0, "")


def test_a_grub_word_with_its_own_quote_is_closed_and_opened_again():
    assert grub("it's $x") == r"'it'\''s $x'"


@pytest.mark.parametrize("value", ["", "a b", "${net0/mac}", "||", "&&", ";", "#comment", "naïve", "end\\"])
def test_a_word_that_ipxe_would_read_otherwise_is_refused(value: str):
    with pytest.raises(UnfitValueError, match="iPXE has no quoting"):
        ipxe(value)


def test_text_for_ipxe_keeps_its_words_and_refuses_expansions():
    assert ipxe_text("waits:  see   the log") == "waits: see the log"
    with pytest.raises(UnfitValueError):
        ipxe_text("hello ${password}")


@given(one_line_text)
def test_text_of_a_machine_is_shown_by_ipxe_without_what_it_would_interpret(value: str):
    text = ipxe_shown(value)

    assert ipxe_text(text) == text
    assert all(ipxe_text(each) == " ".join(each.split()) for each in columns([text, value and text * 40]))


def test_text_of_a_machine_keeps_what_is_plain():
    assert (
        ipxe_shown("sda2  is a LVM2_member; see ${net0/mac} || `x` #")
        == "sda2 is a LVM2_member, see ??net0/mac? ?? ?x? ?"
    )


def test_a_long_value_is_shown_shortened():
    with pytest.raises(UnfitValueError) as refused:
        one_line("x" * 500 + "\n")

    assert len(str(refused.value)) < 150

"""Files and programs of a computer, as the checks read them."""

import os

import pytest
from doctor.box.conftest import Computer

from netboot.doctor.box.box_facts import NotCheckedError


def test_files_that_are_missing_or_have_no_number_are_none(computer: Computer):
    facts = computer.with_file("proc/text", "many\n").with_file("proc/number", " 42 9\n").inputs().facts

    assert (facts.text("/proc/text"), facts.text("/proc/none")) == ("many\n", None)
    assert [facts.number(f"/proc/{name}") for name in ("number", "text", "none")] == [42, None, None]


def test_a_program_that_is_not_installed_prints_none(computer: Computer):
    assert computer.inputs().facts.output("nosuchprogram") is None


def test_a_program_that_fails_is_a_check_that_is_not_made_unless_its_status_is_expected(computer: Computer):
    facts = computer.with_program("broken", "echo printed; echo refused >&2; exit 3").inputs().facts

    assert facts.output("broken", "-x", statuses=(0, 3)) == "printed\n"
    with pytest.raises(NotCheckedError, match=r"^broken -x: refused$"):
        facts.output("broken", "-x")


def test_a_file_that_is_no_program_is_a_check_that_is_not_made(computer: Computer):
    facts = computer.with_file("bin/closed", "").inputs().facts

    with pytest.raises(NotCheckedError, match=r"^closed cannot be run: Permission denied$"):
        facts.output("closed")


def test_the_selinux_label_of_a_file_ends_before_its_zero_byte(computer: Computer):
    facts = computer.with_file("etc/labelled", "").with_file("etc/plain", "").inputs().facts
    os.setxattr(facts.path("/etc/labelled"), "security.selinux", b"system_u:object_r:etc_t:s0\0")

    labels = [facts.label(facts.path(f"/etc/{name}")) for name in ("labelled", "plain", "none")]

    assert labels == ["system_u:object_r:etc_t:s0", None, None]

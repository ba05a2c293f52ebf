"""Limits and features of a kernel, from files as Linux 6 has them."""

import pytest
from doctor.box.conftest import Computer

from netboot.doctor.box.box_facts import NotCheckedError
from netboot.doctor.box.kernel_checks import (
    check_buffers,
    check_conntrack,
    check_descriptors,
    check_kernel_features,
    check_memory,
)
from netboot.doctor.doctor_finding import Level
from netboot.serve.net.descriptors import scarce_from

LIMITS = "Limit                     Soft Limit           Hard Limit           Units\n"
MEMORY = "MemTotal:        2014968 kB\nMemFree:          102400 kB\nMemAvailable:   {} kB\nBuffers: 1 kB\n"


def with_limit(computer: Computer, most: str) -> Computer:
    return computer.with_file("proc/7/limits", f"{LIMITS}Max open files            1024   {most}   files\n")


def test_the_limit_of_the_shipped_unit_is_enough(computer: Computer):
    given = with_limit(computer, "65536").inputs(daemon_process=7)

    assert list(check_descriptors(given)) == []


def test_a_small_limit_of_open_files_is_a_warning(computer: Computer):
    [finding] = check_descriptors(with_limit(computer, "1024").inputs(daemon_process=7))

    assert (finding.level, finding.evidence) == (Level.WARNING, ("Max open files: 1024",))
    assert finding.sentence == (
        "the daemon may open 1024 files, 704 of them before an address gets one connection only; "
        "4024 are needed if many machines boot at once"
    )
    assert "LimitNOFILE=65536" in (finding.cure or "")


def test_a_limit_is_small_if_descriptors_are_scarce_before_all_that_are_needed_are_open(computer: Computer):
    assert [scarce_from(limit) for limit in (5850, 5851)] == [4023, 4024]

    assert list(check_descriptors(with_limit(computer, "5851").inputs(daemon_process=7))) == []
    assert len(list(check_descriptors(with_limit(computer, "5850").inputs(daemon_process=7)))) == 1


def test_a_computer_with_few_files_left_is_a_warning(computer: Computer):
    computer.with_file("proc/sys/fs/file-nr", "99000\t0\t100000\n")

    [finding] = check_descriptors(with_limit(computer, "unlimited").inputs(daemon_process=7))

    assert finding.sentence == "this computer has 99000 open files of at most 100000"


def test_limits_that_cannot_be_read_are_not_checked(computer: Computer):
    with pytest.raises(NotCheckedError):
        list(check_descriptors(computer.inputs(daemon_process=8)))


def test_the_kernel_of_this_computer_has_what_the_daemon_uses(computer: Computer):
    assert list(check_kernel_features(computer.inputs())) == []


def test_a_small_receive_buffer_is_a_note(computer: Computer):
    given = computer.with_file("proc/sys/net/core/rmem_max", "212992\n").inputs()

    [finding] = check_buffers(given)

    assert (finding.level, (finding.cure or "").partition(";")[0]) == (
        Level.NOTE,
        "sysctl -w net.core.rmem_max=4194304",
    )
    computer.with_file("proc/sys/net/core/rmem_max", "4194304\n")
    assert list(check_buffers(given)) == []


@pytest.mark.parametrize(
    ("available_kb", "levels"), [(1_500_000, []), (200_000, [Level.WARNING]), (20_000, [Level.PROBLEM])]
)
def test_little_memory_is_found(computer: Computer, available_kb: int, levels: list[Level]):
    given = computer.with_file("proc/meminfo", MEMORY.format(available_kb)).inputs()

    assert [finding.level for finding in check_memory(given)] == levels


@pytest.mark.parametrize(("count", "levels"), [(10, []), (850, [Level.WARNING]), (1000, [Level.PROBLEM])])
def test_a_full_table_of_connections_is_found(computer: Computer, count: int, levels: list[Level]):
    directory = "proc/sys/net/netfilter"
    computer.with_file(f"{directory}/nf_conntrack_count", f"{count}\n")
    computer.with_file(f"{directory}/nf_conntrack_max", "1000\n")

    found = list(check_conntrack(computer.inputs()))

    assert [finding.level for finding in found] == levels
    assert all("nf_conntrack_max=2000" in (finding.cure or "") for finding in found)


def test_a_kernel_without_conntrack_has_no_table(computer: Computer):
    assert list(check_conntrack(computer.inputs())) == []

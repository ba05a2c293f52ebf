"""Every check of the box runs, and one that cannot be made has its reason."""

import asyncio

from doctor.box.conftest import Computer

from netboot.doctor.box.examine_box import CHECKS, examine, examine_box
from netboot.doctor.doctor_finding import Area, Level
from netboot.settings.settings import Settings


def test_a_check_that_cannot_be_made_is_listed_with_its_reason(computer: Computer):
    computer.with_program("nft", "echo 'Operation not permitted' >&2; exit 1")

    report = asyncio.run(examine(computer.inputs()))

    assert report.area is Area.BOX
    assert report.not_checked["box.firewall"] == "nft -j list ruleset: Operation not permitted"
    assert report.not_checked["box.memory"] == "/proc/meminfo cannot be read"
    assert {*report.checked, *report.not_checked} == set(CHECKS)
    assert "box.mtu" in report.checked


def test_this_computer_without_boot_interfaces_has_no_problem_of_the_kernel():
    report = asyncio.run(examine_box(Settings(), daemon_runs=False))

    kernel = ("box.kernel", "box.firewall", "box.conntrack", "box.networks")
    assert [each for each in report.findings if each.check in kernel and each.level is Level.PROBLEM] == []

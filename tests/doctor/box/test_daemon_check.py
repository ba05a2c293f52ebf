"""A daemon that does not run is a warning with the state of its unit."""

import pytest
from doctor.box.conftest import Computer

from netboot.doctor.box.daemon_check import check_daemon
from netboot.doctor.doctor_finding import Level


def test_a_daemon_that_runs_is_no_finding(computer: Computer):
    assert list(check_daemon(computer.inputs(daemon_runs=True))) == []


@pytest.mark.parametrize(
    ("program", "evidence"),
    [
        ("echo failed; exit 3", ("systemctl is-active netboot: failed",)),
        ("echo 'System has not been booted with systemd' >&2; exit 1", ()),
    ],
)
def test_one_that_does_not_run_is_a_warning(computer: Computer, program: str, evidence: tuple[str, ...]):
    computer.with_program("systemctl", program)

    [found] = check_daemon(computer.inputs())

    assert (found.check, found.level, found.evidence) == ("box.daemon", Level.WARNING, evidence)

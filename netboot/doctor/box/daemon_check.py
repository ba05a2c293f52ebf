"""Checks whether the daemon of these settings runs: without it no machine is answered."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from netboot.doctor.box.box_facts import NotCheckedError
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.doctor_finding import DoctorFinding, Level

_STATUSES: Final = (0, 3, 4)  # systemctl is-active: active, not active, no such unit


def check_daemon(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report a daemon that does not run, with the state of its unit: a warning, since it may be started later."""
    if given.daemon_runs:
        return
    evidence: tuple[str, ...] = ()
    with suppress(NotCheckedError):  # no systemd, as in a container
        if state := (given.facts.output("systemctl", "is-active", "netboot", statuses=_STATUSES) or "").strip():
            evidence = (f"systemctl is-active netboot: {state}",)
    yield DoctorFinding(
        "box.daemon",
        Level.WARNING,
        "no daemon with these settings runs on this computer, so no machine is answered",
        evidence,
        "systemctl enable --now netboot; journalctl -u netboot states why it ended",
    )

"""Which power actions are refused in which state of an install."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from netboot.model.host.host import HostName
from netboot.model.install.install import Install, InstallState
from netboot.model.power.power import PowerAction
from netboot.model.power.refusal import refusal

AT = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
S = InstallState
BREAKING = (PowerAction.OFF, PowerAction.CYCLE, PowerAction.PXE)


def in_state(state: InstallState, *, is_armed: bool) -> Install:
    install = replace(Install(HostName("cp1")), state=state)
    return install.armed(at=AT, reason="test", attempts=1) if is_armed else install


@pytest.mark.parametrize("action", BREAKING)
@pytest.mark.parametrize("is_armed", [False, True], ids=["not armed", "armed"])
@pytest.mark.parametrize("state", InstallState)
def test_a_reset_is_refused_while_the_disk_is_written_and_in_the_first_boot(state, is_armed, action):
    refused = refusal(action, in_state(state, is_armed=is_armed))

    assert (refused is not None) == (state is S.INSTALLING or (state is S.INSTALLED and not is_armed))


@pytest.mark.parametrize("state", InstallState)
def test_switching_on_is_never_refused_and_an_operator_can_force_the_others(state):
    install = in_state(state, is_armed=False)

    assert refusal(PowerAction.ON, install) is None
    assert [refusal(action, install, is_forced=True) for action in BREAKING] == [None, None, None]


def test_a_refusal_says_what_would_happen_and_what_to_do():
    assert refusal(PowerAction.CYCLE, in_state(S.INSTALLED, is_armed=False)) == (
        "cp1 is installed and not ready: a reset in its first boot makes Ignition run again, and the node hangs; wait "
        "until it is ready (netboot install watch cp1); if it is switched off: netboot power on cp1"
    )
    assert refusal(PowerAction.OFF, in_state(S.INSTALLING, is_armed=True)) == (
        "cp1 is installing: its installer is writing the disk; wait for its end (netboot install watch cp1)"
    )

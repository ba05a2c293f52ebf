"""The messages of an arming that is refused, and of a cancelled one."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from netboot.model.host.host import HostName
from netboot.model.install.install import Install, InstallState
from netboot.operate.arming import ArmingRefusedError, arming_refusals, cancel_notes

CP1, W1 = HostName("cp1"), HostName("w1")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
ARMED = Install(CP1).armed(at=NOW, reason="test", attempts=3)
WIPE = (
    "cp1 is installing: its installer was allowed to wipe the disk, and continues; this cannot be undone; "
    "its end is still recorded, and its next network boot is directed to its own disk"
)


@pytest.mark.parametrize(
    ("before", "notes"),
    [
        pytest.param(ARMED, ["cp1 is not armed; it boots its own disk"], id="armed"),
        pytest.param(Install(CP1), ["cp1 was not armed; nothing was changed"], id="not-armed"),
        pytest.param(
            replace(ARMED, state=InstallState.LOADING),
            [
                "cp1 is no longer armed",
                "cp1 is loading its installer, which is stopped before it writes to the disk",
            ],
            id="loading",
        ),
        pytest.param(replace(ARMED, state=InstallState.INSTALLING), ["cp1 is no longer armed", WIPE], id="installing"),
        pytest.param(
            Install(CP1, InstallState.INSTALLING),
            ["cp1 was not armed; nothing was changed", WIPE],
            id="cancelled-twice-while-installing",
        ),
    ],
)
def test_a_cancel_says_what_it_did_and_what_it_cannot_take_back(before: Install, notes: list[str]):
    assert cancel_notes(before) == notes


def test_a_host_is_refused_with_its_running_install_and_with_everything_that_is_missing():
    running = replace(ARMED, state=InstallState.INSTALLING)

    refusals = arming_refusals({CP1: running, W1: Install(W1)}, {CP1: ["no disk"], W1: []})

    assert refusals == {
        CP1: [
            "cp1 is installing under its arming of 2026-11-21 00:00; let it end, or netboot install cancel cp1 first",
            "no disk",
        ]
    }


@pytest.mark.parametrize(
    ("is_forcible", "last"),
    [(True, "nothing was armed; correct this, or arm anyway with --force"), (False, "nothing was armed")],
)
def test_every_reason_of_every_host_is_a_line_and_the_last_says_what_to_do(is_forcible: bool, last: str):
    error = ArmingRefusedError({CP1: ["no disk", "no release"], W1: ["no medium"]}, is_forcible=is_forcible)

    assert str(error).splitlines() == [
        "cannot arm cp1: no disk",
        "cannot arm cp1: no release",
        "cannot arm w1: no medium",
        last,
    ]

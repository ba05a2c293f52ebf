"""What the page of a host shows of its actions, cause, checks and history."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netboot.admin.pages.boots.machine_boots import BootsView
from netboot.admin.pages.boots.shown_log import ShownLog
from netboot.admin.pages.hosts.host_view import CauseView, HostView, MoveRow, host_view
from netboot.admin.pages.machines.seen_view import Fact
from netboot.model.actor import Actor, Source
from netboot.model.boot.causes.cause import Cause, CauseSeverity
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.checks import CheckResult, InstallCheck
from netboot.model.install.install import Install, InstallState, Move
from netboot.operate.actions.host_verbs import HostAction, HostVerb
from netboot.operate.host_status import Heard, HostReport, InstallReport, InstallStatus

AT = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
CP1 = HostName("cp1")
HOST = Host(
    CP1, Role.WORKER, (Mac("52:54:00:aa:bb:01"),), disk="/dev/vda", ignition=Path("ign/w.ign"), labels={"a": "b"}
)
CAUSE = Cause("clock-wrong", "the clock \u202e is wrong", ("a <b>",), "set it", CauseSeverity.WARNING, AT)
NO_BOOTS = BootsView(None, (), ShownLog())
ARM = HostAction(CP1, HostVerb.ARM, ["no release"], is_forcible=True)
CANCEL = HostAction(CP1, HostVerb.CANCEL)
REMOVE, RETIRE = (HostAction(CP1, verb, ["one", "two"]) for verb in (HostVerb.REMOVE, HostVerb.RETIRE))


def view(*actions: HostAction, history: Any = (), refusal: str | None = None, **changes: Any) -> HostView:
    install = Install(CP1, InstallState.FAILED, AT, checks=(InstallCheck("clock", CheckResult.FAIL, "400 days"),))
    report = HostReport(
        HOST,
        InstallReport(InstallStatus(install, (), is_declared=True), None),
        Heard(AT, None, None, "vda 480 GB\nvdb"),
        (),
        (),
    )
    return host_view(replace(report, **changes), actions, NO_BOOTS, history, refusal=refusal)


def with_cause(cause: Cause) -> InstallReport:
    return InstallReport(InstallStatus(Install(CP1), (), is_declared=True), cause)


def test_an_action_that_can_be_forced_is_possible_and_equal_refusals_are_one():
    found = view(ARM, CANCEL, REMOVE, RETIRE)

    assert [(each.label, each.url) for each in found.possible] == [
        ("Arm", "/hosts/cp1/arm"),
        ("Cancel the arming", "/hosts/cp1/cancel"),
    ]
    assert [([each.label for each in group.actions], group.refusal) for group in found.refused] == [
        (["Remove", "Retire"], "one\ntwo")
    ]


def test_who_may_change_nothing_reads_that_sentence_beside_every_action():
    found = view(ARM, CANCEL, REMOVE, refusal="log in as an admin")

    assert (found.possible, [group.refusal for group in found.refused]) == ((), ["log in as an admin"])


def test_a_cause_is_printable_and_has_the_colour_of_its_severity():
    found = view(install=with_cause(CAUSE))

    assert found.cause == CauseView(
        "clock-wrong", "warning", "warning", "the clock \ufffd is wrong", "set it", ("a <b>",), AT
    )


def test_the_last_reason_is_not_repeated_where_the_cause_states_it():
    heard = Heard(AT, None, (AT, "the clock \ufffd is wrong; set it"), "")

    assert view(heard=heard, install=with_cause(CAUSE)).last_reason == ""
    assert view(heard=heard).last_reason == "the clock \ufffd is wrong; set it"


def test_checks_disks_and_declared_values_are_shown():
    found = view()

    assert [(check.name, check.result, check.colour) for check in found.checks] == [("clock", "fail", "red")]
    assert found.disks == ("vda 480 GB", "vdb")
    assert Fact("Labels", "a=b") in found.declared
    assert Fact("Address", "by DHCP") in found.declared
    assert found.situation == (Fact("Armed", "no"),)


def test_the_history_begins_with_the_newest_line_and_is_cut():
    moves = [Move(AT, "armed", InstallState.REGISTERED, InstallState.REGISTERED, f"{number}") for number in range(20)]
    report = Move(
        AT,
        "reported-failed",
        InstallState.LOADING,
        InstallState.FAILED,
        "first\nTraceback <b>\ndisks present:\nvda",
        Actor("alice", Source.PAGE),
    )

    found = view(history=[*moves, report])

    assert (found.moves, len(found.history)) == (21, 15)
    assert found.history[0] == MoveRow(
        AT, "reported-failed", "loading", "failed", "first", "first\nTraceback <b>", ("vda",), "alice", "page"
    )

"""What the pages show of a rollout: its stages, hosts and commands, the plan, and what needs attention."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.attention_row import AttentionRow
from netboot.admin.pages.boots.boot_gantt import GanttBar
from netboot.admin.pages.rollout.rollout_plan_view import PlanBar, PlanOptions, RolloutPlanView
from netboot.admin.pages.rollout.rollout_stages import RolloutStage, StageState, stages_of
from netboot.admin.pages.rollout.rollout_views import ExpectedStep, RolloutView, rollout_attention
from netboot.admin.texts.ages import shown_due
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import Install, InstallState
from netboot.model.rollout.command import CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import Phase, Rollout, RolloutState
from netboot.operate.rollout.decision.forecast import ExpectedTimes, Forecast
from netboot.operate.rollout.decision.observed import ObservedInstall
from netboot.operate.rollout.decision.schedule import Durations, schedule
from netboot.operate.rollout.new_rollout import RolloutRequest
from netboot.operate.rollout.rollout_board import RolloutBoard, RolloutRefusals
from netboot.operate.rollout.rollout_status import RolloutStatus, rollout_status
from netboot.operate.rollout.rollout_uses import RolloutPlan

S = StageState
CP1 = Host(HostName("cp1"), Role.CONTROL_PLANE, (Mac("52:54:00:aa:bb:01"), Mac("52:54:00:aa:bb:02")))
W1 = Host(HostName("w1"), Role.WORKER, (Mac("52:54:00:aa:bb:11"),), labels={"rack": "r7", "unit": "12"})
HOSTS = HostSet.of(Cluster("rackone", "cp1"), [CP1, W1])
MINUTE = timedelta(minutes=1)


def a_status(rollout: Rollout, **values: Any) -> RolloutStatus:
    return rollout_status(replace(rollout, **values), EVERY_COMMAND)


def moved(rollout: Rollout, **phases: Phase) -> Rollout:
    """Return a rollout with hosts in other phases."""
    for name, phase in phases.items():
        host = rollout.host(name)
        assert host is not None
        rollout = rollout.with_host(replace(host, phase=phase, changed_at=BEGAN_AT + MINUTE, attempts=1))
    return rollout


def ran(kind: CommandKind, state: CommandState = CommandState.DONE, **values: Any) -> RolloutCommand:
    return RolloutCommand(kind, state, 1, BEGAN_AT, BEGAN_AT + 2 * MINUTE, **values)


def board_of(rollout: Rollout, **values: Any) -> RolloutBoard:
    empty: dict[str, Any] = {"ended": None, "deadlines": {}, "commands": {}}
    return RolloutBoard(a_status(rollout), RolloutRefusals.of(rollout), **(empty | values))


def test_the_stages_of_a_new_rollout_all_wait():
    assert stages_of(a_status(a_rollout(1, 2)), {}) == (
        RolloutStage("First node", S.WAITING, "cp1 is waiting"),
        RolloutStage("API answers", S.WAITING),
        RolloutStage("Second start", S.WAITING, "network and catalog"),
        RolloutStage("Control planes", S.WAITING, "0 of 1 ready, 1 waiting"),
        RolloutStage("Workers", S.WAITING, "0 of 2 ready, 2 waiting"),
    )


def test_the_stages_of_a_running_rollout_have_what_they_wait_for_and_their_deadlines():
    rollout = moved(a_rollout(1, 2), cp1=Phase.READY, cp2=Phase.JOINING, w1=Phase.INSTALLED, w2=Phase.FAILED)
    rollout = rollout.with_command(ran(CommandKind.START)).with_command(ran(CommandKind.START_AGAIN))
    ends = {RoleUse.CONTROL_PLANE: BEGAN_AT + 120 * MINUTE, RoleUse.INIT: BEGAN_AT}

    assert stages_of(a_status(rollout, api_answered_at=BEGAN_AT + MINUTE), ends) == (
        RolloutStage("First node", S.DONE, "cp1 is ready"),
        RolloutStage("API answers", S.DONE, at=BEGAN_AT + MINUTE),
        RolloutStage("Second start", S.DONE, "network and catalog", BEGAN_AT + 2 * MINUTE),
        RolloutStage("Control planes", S.RUNNING, "0 of 1 ready, 1 joining", until=BEGAN_AT + 120 * MINUTE),
        RolloutStage("Workers", S.WAITING, "0 of 2 ready, 1 installed, 1 failed"),
    )


def test_the_time_of_printed_commands_counts_from_when_they_were_printed():
    rollout = moved(a_rollout(1, 1), cp1=Phase.READY, cp2=Phase.INSTALLED)
    printed = ran(CommandKind.JOIN_CONTROL_PLANE, CommandState.NEEDS_PERSON, printed=2)
    before = {RoleUse.CONTROL_PLANE: BEGAN_AT + MINUTE}

    assert stages_of(a_status(rollout.with_command(printed)), before)[3].until == BEGAN_AT + 120 * MINUTE
    assert stages_of(a_status(rollout.with_command(replace(printed, printed=0))), before)[3].until == BEGAN_AT + MINUTE


@pytest.mark.parametrize(
    ("phase", "start", "expected"),
    [
        (Phase.NEEDS_PERSON, CommandState.UNUSED, S.NEEDS_PERSON),
        (Phase.INSTALLED, CommandState.NEEDS_PERSON, S.NEEDS_PERSON),
        (Phase.INSTALLED, CommandState.FAILED, S.FAILED),
        (Phase.INSTALLED, CommandState.RUNNING, S.RUNNING),
        (Phase.INSTALLING, CommandState.FAILED, S.RUNNING),
        (Phase.JOINING, CommandState.DONE, S.RUNNING),
        (Phase.FAILED, CommandState.DONE, S.FAILED),
        (Phase.CANCELLED, CommandState.UNUSED, S.FAILED),
    ],
)
def test_the_first_stage_is_that_of_the_first_node_and_of_its_start(
    phase: Phase, start: CommandState, expected: StageState
):
    rollout = moved(a_rollout(0, 1), cp1=phase).with_command(ran(CommandKind.START, start))

    assert stages_of(a_status(rollout), {})[0] == RolloutStage("First node", expected, f"cp1 is {phase}")


@pytest.mark.parametrize(
    ("phases", "command", "expected"),
    [
        ((Phase.READY, Phase.READY), CommandState.DONE, S.DONE),
        ((Phase.READY, Phase.FAILED), CommandState.DONE, S.FAILED),
        ((Phase.INSTALLED, Phase.NEEDS_PERSON), CommandState.UNUSED, S.NEEDS_PERSON),
        ((Phase.INSTALLED, Phase.INSTALLED), CommandState.NEEDS_PERSON, S.NEEDS_PERSON),
        ((Phase.INSTALLED, Phase.INSTALLED), CommandState.FAILED, S.FAILED),
        ((Phase.INSTALLED, Phase.INSTALLED), CommandState.RUNNING, S.RUNNING),
        ((Phase.INSTALLED, Phase.POWERING), CommandState.UNUSED, S.RUNNING),
        ((Phase.INSTALLED, Phase.INSTALLED), CommandState.DONE, S.WAITING),
    ],
)
def test_the_stage_of_the_workers(phases: tuple[Phase, Phase], command: CommandState, expected: StageState):
    rollout = moved(a_rollout(0, 2), cp1=Phase.READY, w1=phases[0], w2=phases[1])
    rollout = rollout.with_command(ran(CommandKind.JOIN_WORKER, command))

    assert stages_of(a_status(rollout), {})[-1].state is expected


def test_an_api_that_does_not_answer_is_shown_with_the_reason():
    rollout = moved(a_rollout(0, 1), cp1=Phase.JOINING)
    status = rollout_status(rollout, EVERY_COMMAND, api_problem="https://192.0.2.100:6443 does not answer")

    assert stages_of(status, {})[1] == RolloutStage(
        "API answers", S.RUNNING, "https://192.0.2.100:6443 does not answer"
    )


def test_a_node_that_is_replaced_leaves_the_cluster_first():
    rollout = replace(a_rollout(0, 1), hosts=a_rollout(0, 1).hosts[1:], has_cluster=True, replaces=HostName("w1"))
    rollout = rollout.with_command(ran(CommandKind.DRAIN)).with_command(ran(CommandKind.RESET, CommandState.FAILED))

    assert stages_of(a_status(rollout), {})[:2] == (
        RolloutStage("w1 leaves the cluster", S.FAILED, "1 of drain, reset, delete done"),
        RolloutStage("API answers", S.RUNNING),
    )


def test_each_action_has_the_sentence_with_which_it_is_refused():
    rollout = moved(a_rollout(0, 2), cp1=Phase.READY, w1=Phase.FAILED)
    view = RolloutView.active_of(board_of(rollout), HOSTS)
    assert view is not None

    assert view.actions == (
        ActionLink("pause", "Pause", "/rollout/pause"),
        ActionLink("resume", "Resume", "/rollout/resume", "the rollout is not paused; netboot cluster rollout show"),
    )
    assert [row.action for row in view.hosts] == [
        ActionLink("cancel", "Cancel", "/rollout/cancel?host=cp1", "cannot cancel cp1 in the rollout: it is ready"),
        ActionLink("retry", "Retry", "/rollout/retry?host=w1"),
        ActionLink("cancel", "Cancel", "/rollout/cancel?host=w2"),
    ]
    assert view.counts == [(Phase.WAITING, 1), (Phase.READY, 1), (Phase.FAILED, 1)]
    assert view.next == "netboot cluster rollout retry w1"


def test_the_expected_times_of_a_host_are_those_that_are_still_to_come():
    rollout = moved(a_rollout(0, 2), cp1=Phase.READY, w1=Phase.INSTALLED)
    times = ExpectedTimes(*(BEGAN_AT + minute * MINUTE for minute in (1, 2, 3, 4)))
    forecast = Forecast({each.host: times for each in rollout.hosts}, BEGAN_AT + 4 * MINUTE)
    status = rollout_status(rollout, EVERY_COMMAND, forecast=forecast)
    view = RolloutView.active_of(replace(board_of(rollout), active=status), HOSTS)
    assert view is not None

    steps = [ExpectedStep(what, BEGAN_AT + minute * MINUTE) for what, minute in
             (("install", 1), ("installed", 2), ("joins", 3), ("ready", 4))]  # fmt: skip
    assert [row.to_come for row in view.hosts] == [(), steps[2:], steps]
    assert (status.expected_end_at, status.no_expected_end) == (BEGAN_AT + 4 * MINUTE, None)
    assert (
        rollout_status(replace(rollout, state=RolloutState.ENDED), EVERY_COMMAND, forecast=forecast).hosts[2].expected
        is None
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "now"), (0.9, "now"), (40, "in 40 s"), (119, "in 1 min 59 s"), (179, "in 2 min"), (3700, "in 1 h 1 min")],
)
def test_an_estimate_is_shown_in_minutes_if_they_are_some(seconds: float, expected: str):
    assert shown_due(seconds) == expected


def test_a_machine_without_a_bmc_is_shown_with_its_cards_and_its_place():
    rollout = moved(a_rollout(0, 2), cp1=Phase.NEEDS_PERSON, w1=Phase.NEEDS_PERSON, w2=Phase.NEEDS_PERSON)
    view = RolloutView.active_of(board_of(rollout), HOSTS)
    assert view is not None

    assert [(row.host.host, row.macs, row.labels) for row in view.persons] == [
        ("cp1", ["52:54:00:aa:bb:01", "52:54:00:aa:bb:02"], {}),
        ("w1", ["52:54:00:aa:bb:11"], {"rack": "r7", "unit": "12"}),
        ("w2", [], {}),
    ]


def test_commands_are_shown_as_they_ran_with_their_stored_ends_and_without_secrets():
    later = replace(ran(CommandKind.JOIN_WORKER, CommandState.FAILED), began_at=BEGAN_AT + 9 * MINUTE)
    rollout = a_rollout().with_command(replace(later, ended_at=BEGAN_AT + 10 * MINUTE, detail="/bin/w: exit code 3"))
    for kind, ending in ((CommandKind.START, "netboot was killed"), (CommandKind.START_AGAIN, "exit code 0")):
        rollout = rollout.with_command(ran(kind, detail=ending))
    configured = {
        CommandKind.START: ["/usr/bin/env", "API_TOKEN=abc", "/usr/bin/ocne", "cluster start"],
        CommandKind.JOIN_WORKER: ["/bin/w"],
    }
    view = RolloutView.active_of(board_of(rollout, commands=configured), HOSTS)
    assert view is not None

    assert [(row.status.kind, row.text, row.outcome, row.took) for row in view.commands] == [
        ("start", "/usr/bin/env API_TOKEN=hidden /usr/bin/ocne 'cluster start'", "netboot was killed", "2 min"),
        ("start-again", "", "exit code 0", "2 min"),
        ("join-worker", "/bin/w", "/bin/w: exit code 3", "1 min"),
    ]


def test_a_file_that_a_person_sets_has_its_page_and_printed_commands_a_confirmation():
    by_person = ran(CommandKind.JOIN_CONTROL_PLANE, CommandState.NEEDS_PERSON)
    of_file = RolloutView.active_of(board_of(a_rollout().with_command(by_person)), HOSTS)
    printed = RolloutView.active_of(board_of(a_rollout().with_command(replace(by_person, printed=2))), HOSTS)
    assert of_file is not None
    assert printed is not None

    assert (of_file.file_url, printed.file_url) == ("/cluster/ignition/control-plane", None)
    assert printed.confirm == ActionLink("confirm", "Confirm", "/rollout/confirm")
    assert of_file.confirm is not None
    assert of_file.confirm.refusal == (
        "the rollout waits for no confirmation; netboot cluster status has the next command"
    )


def test_a_step_of_a_removal_that_failed_may_be_confirmed():
    failed = ran(CommandKind.DELETE, CommandState.FAILED)
    view = RolloutView.active_of(board_of(a_rollout().with_command(failed)), HOSTS)
    assert view is not None

    assert view.by_person == failed
    assert view.confirm == ActionLink("confirm", "Confirm", "/rollout/confirm")


def test_a_rollout_that_ended_has_its_failed_hosts_first_and_no_action():
    rollout = moved(a_rollout(0, 2), cp1=Phase.READY, w1=Phase.READY, w2=Phase.FAILED)
    ended = a_status(rollout, state=RolloutState.ENDED, ended_at=BEGAN_AT + 33 * MINUTE)
    view = RolloutView.ended_of(RolloutBoard(None, None, ended, {}, {}))
    assert view is not None

    assert [(row.status.host, row.action) for row in view.hosts] == [("w2", None), ("cp1", None), ("w1", None)]
    assert (view.took, view.is_good, view.cancel) == ("33 min", False, None)


def newest(rollout: Rollout, **values: Any) -> RolloutBoard:
    rollout = replace(rollout, **values)
    return board_of(rollout) if rollout.is_active else RolloutBoard(None, None, a_status(rollout), {}, {})


def attention(rollout: Rollout, *ready: str, **values: Any) -> list[tuple[str, str, str, bool]]:
    rows = list(rollout_attention(newest(rollout, **values), ready))
    assert all(isinstance(row, AttentionRow) and row.url == "/rollout" for row in rows)
    return [(row.key, row.sentence, row.cure, row.is_error) for row in rows]


def test_a_rollout_that_needs_nothing_is_no_row():
    assert list(rollout_attention(None, ())) == []
    assert attention(moved(a_rollout(), cp1=Phase.INSTALLING)) == []
    assert attention(moved(a_rollout(), w1=Phase.FAILED), state=RolloutState.CANCELLED) == []


def test_a_rollout_that_failed_or_needs_a_person_needs_attention():
    failed = moved(a_rollout(0, 2), w1=Phase.FAILED, w2=Phase.NEEDS_PERSON)
    host = failed.host("w1")
    assert host is not None
    failed = failed.with_host(replace(host, reason="no disk"))

    assert attention(failed, state=RolloutState.PAUSED, reason="1 hosts failed") == [
        (
            "rollout-failed",
            "w1 failed: no disk",
            "netboot cluster rollout retry w1, then netboot cluster rollout resume",
            True,
        ),
        ("rollout-person", "w2 waits for a person", "", False),
    ]
    assert attention(a_rollout(), state=RolloutState.PAUSED, reason="maintenance") == [
        ("rollout-paused", "is paused: maintenance", "netboot cluster rollout resume", False)
    ]
    by_person = ran(CommandKind.START, CommandState.NEEDS_PERSON, detail="run ocne")
    assert attention(a_rollout().with_command(by_person)) == [
        ("rollout-command", "start waits for a person", "run ocne", False)
    ]


def test_a_failed_host_that_may_not_be_retried_has_the_reason_as_its_cure():
    rollout = moved(a_rollout(0, 2), cp1=Phase.FAILED, w1=Phase.FAILED)
    both = attention(rollout, api_answered_at=BEGAN_AT)
    first = attention(moved(a_rollout(0, 2), cp1=Phase.FAILED), api_answered_at=BEGAN_AT)

    assert both == [("rollout-failed", "cp1, w1 failed", "netboot cluster rollout retry w1", True)]
    assert [cure.partition(";")[0] for _, _, cure, _ in first] == [
        "cannot retry cp1 in the rollout: the cluster that it started answers, and its keys must not start another one"
    ]


def test_failures_of_a_rollout_that_ended_need_attention_until_their_hosts_are_ready():
    names = {f"w{n}": Phase.FAILED for n in range(1, 8)}
    ended = {"state": RolloutState.ENDED, "ended_at": BEGAN_AT}

    assert attention(moved(a_rollout(0, 7), **names), **ended) == [
        ("rollout-failed", "w1, w2, w3, w4, w5 and 2 more failed", "", True)
    ]
    assert attention(moved(a_rollout(0, 7), **names), *names, **ended) == []


@pytest.mark.parametrize(
    ("query", "request_", "fault"),
    [
        ({}, RolloutRequest([]), None),
        (
            {"hosts": "cp1, w1  w2", "max_parallel": "2", "failure_budget": "0", "no_power": "1"},
            RolloutRequest(["cp1", "w1", "w2"], 2, 0, False),
            None,
        ),
        ({"replace": " w1 "}, RolloutRequest([], replace="w1"), None),
        ({"max_parallel": "0"}, None, "at a time is a whole number from 1 to 500"),
        ({"max_parallel": "\u0664"}, None, "at a time is a whole number from 1 to 500"),
        ({"failure_budget": "1001"}, None, "the failure budget is a whole number from 0 to 1000"),
    ],
)
def test_the_options_of_a_plan_are_the_query(query: dict[str, str], request_: RolloutRequest | None, fault: str | None):
    options = PlanOptions.of_query(query)

    assert options.fault == fault
    assert PlanOptions.of_query({}) == PlanOptions()
    if request_ is not None:
        assert options.request() == request_


def test_a_plan_shows_when_each_host_is_installed_and_joins_after_the_start():
    rollout = a_rollout(0, 1)
    durations = Durations(10 * MINUTE, MINUTE, 2 * MINUTE, api=3 * MINUTE, command=MINUTE, person=5 * MINUTE)
    installed = {HostName("cp1"): ObservedInstall(InstallState.INSTALLED)}
    made = schedule(rollout, installed, {}, rules=EVERY_COMMAND, durations=durations)
    plan = RolloutPlan(made, 4, 0, ["no\x1b"], ["read"])
    installs = {HostName("w1"): Install(HostName("w1"), InstallState.FAILED)}

    view = RolloutPlanView.of(PlanOptions(hosts="w1"), plan, HOSTS, installs, began_at=BEGAN_AT)

    assert [(row.host.host, row.install, row.installed, row.ready) for row in view.rows] == [
        ("cp1", "", "", "+5 min"),
        ("w1", "at once", "+10 min", "+14 min"),
    ]
    assert view.rows[1].bars == [
        PlanBar("install", GanttBar(0.0, 71.43)),
        PlanBar("wait", GanttBar(71.43, 14.29)),
        PlanBar("join", GanttBar(85.71, 14.29)),
    ]
    assert (view.wiped, view.takes, view.options.url) == (["w1"], "14 min", "/rollout?hosts=w1")
    assert (view.refusals, view.warnings) == (["no\ufffd"], ["read"])
    assert view.confirmation is not None
    assert view.confirmation.typed == "w1"


def test_a_plan_of_a_replacement_shows_what_removes_the_node():
    rollout = replace(a_rollout(0, 1), hosts=a_rollout(0, 1).hosts[1:], has_cluster=True, replaces=HostName("w1"))
    durations = Durations(10 * MINUTE, MINUTE, 2 * MINUTE)
    made = schedule(rollout, {}, {}, rules=EVERY_COMMAND, durations=durations)
    plan = RolloutPlan(made, 4, 0, [], [], ["/bin/ocne drain w1", "/bin/ocne reset w1", "/bin/del\x1b w1"])

    view = RolloutPlanView.of(PlanOptions(replace="w1"), plan, HOSTS, {}, began_at=BEGAN_AT)

    assert [(row.command.kind, row.after, row.text) for row in view.commands] == [
        (CommandKind.DRAIN, "+1 min", "/bin/ocne drain w1"),
        (CommandKind.RESET, "+2 min", "/bin/ocne reset w1"),
        (CommandKind.DELETE, "+3 min", "/bin/del\ufffd w1"),
        (CommandKind.JOIN_WORKER, "+15 min", ""),
    ]

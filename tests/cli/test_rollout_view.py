"""What `netboot cluster rollout` prints of a plan: times with their day, unless it is today; what a watch waits for."""

import re
import socket
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.command_line import CommandLine

from netboot.cli.views.rollout.rollout_view import (
    changed_lines,
    cluster_lines,
    host_columns,
    host_rows,
    is_changed,
    plan_lines,
    plan_rows,
    rollout_lines,
)
from netboot.control_socket import DeafDaemonError, NoDaemonError


def plan(at: datetime, **values: object) -> dict[str, object]:
    """Make the plan of a worker whose command runs at a time, as the API shows it."""
    shown = at.isoformat()
    command = {
        "kind": "join-worker",
        "at": shown,
        "is_configured": True,
        "deadline": (at + timedelta(days=1)).isoformat(),
    }
    host = {
        "host": "w1",
        "part": "worker",
        "install_at": shown,
        "installed_at": shown,
        "join_at": shown,
        "ready_at": None,
    }
    schedule = {"hosts": [host], "commands": [command], "ends_at": shown}
    return {"schedule": schedule, "warnings": [], "refusals": [], "removal": [], **values}


def test_a_time_of_another_day_has_its_date_and_a_deadline_always_its_date():
    now = datetime.now(UTC)
    tomorrow = now.replace(hour=0, minute=40) + timedelta(days=1)

    [row] = plan_rows(plan(tomorrow))
    lines = [*plan_lines(plan(tomorrow))]

    assert row == ("w1", "worker", *[f"{tomorrow:%Y-%m-%d %H:%M}"] * 3, "–")
    assert lines[0] == "times are UTC"
    end = tomorrow + timedelta(days=1)
    assert re.sub(r"\(in .*\)", "(in …)", lines[1]) == (
        f"{tomorrow:%Y-%m-%d %H:%M}  join-worker; its secrets end at {end:%Y-%m-%d %H:%M} UTC (in …)"
    )
    assert lines[2].startswith(f"{tomorrow:%Y-%m-%d %H:%M}  every host is ready")


def test_a_time_of_today_has_no_date():
    before = datetime.now(UTC)
    rows = [*plan_rows(plan(before))]

    shown = f"{before:%H:%M}" if datetime.now(UTC).date() == before.date() else f"{before:%Y-%m-%d %H:%M}"
    assert rows == [("w1", "worker", shown, shown, shown, "–")]


@pytest.mark.parametrize(
    ("ended_at", "last"),
    [
        (None, "next: nothing; netboot cluster rollout show --watch follows the rollout"),
        ("2026-12-01T02:00:00+00:00", "next: nothing"),
    ],
)
def test_a_cluster_whose_rollout_needs_nobody_names_how_it_is_followed(ended_at: str | None, last: str):
    rollout = {"id": 1, "state": "running", "ended_at": ended_at, "hosts": [{"phase": "installed"}]}
    cluster = {"name": "rackone", "endpoint": None, "deadlines": [], "rollout": rollout, "next_command": None}

    assert [*cluster_lines(cluster)][-1] == last


def test_the_help_of_a_rollout_has_the_options_of_its_begin(netboot: CommandLine):
    shown = netboot.printed("cluster", "rollout", "--help")

    without_command = shown[shown.index("Options without a command:") : shown.index("Commands:")]
    options = re.findall(r"^  (--[a-z-]+)", without_command, re.MULTILINE)
    assert options == [
        *("--plan", "--max-parallel", "--failure-budget", "--no-power", "--replace", "--run", "--yes", "--watch"),
        "--json",
    ]


def test_a_number_that_no_rollout_can_have_is_a_fault_of_usage(netboot: CommandLine):
    for option, value in (("--max-parallel", "0"), ("--failure-budget", "-1")):
        done = netboot("cluster", "rollout", "--plan", option, value)
        assert (done.exit_code, f"Invalid value for '{option}'" in done.stderr) == (2, True)


def test_a_watched_change_has_its_time_and_a_command_its_end():
    at = "2026-11-30T12:00:0{}+00:00"
    host = {"host": "cp1", "phase": "installing", "reason": "", "since": at.format(1)}
    command = {
        "kind": "start", "state": "running", "began_at": at.format(2), "ended_at": None, "next_at": None, "detail": "",
    }  # fmt: skip
    first = {"id": 1, "state": "running", "reason": "", "next_command": None, "hosts": [host], "commands": [command]}
    done = {**command, "state": "done", "ended_at": at.format(3), "detail": "exit code 0"}

    assert [*changed_lines(None, first)] == [
        "12:00:01  cp1  installing",
        "12:00:02  start is running",
        "rollout 1 is running",
    ]
    assert [*changed_lines(first, {**first, "commands": [done]})] == ["12:00:03  start is done: exit code 0"]


def active(now: datetime, **values: object) -> dict[str, object]:
    """Make an active rollout, as the API shows it."""

    def host(name: str, expected: dict[str, object] | None) -> dict[str, object]:
        known = {"host": name, "part": "worker", "phase": "waiting", "since": None, "reason": "", "attempts": 0}
        return {**known, "permitted_until": None, "limit_at": None, "expected": expected}

    late, later = (now - timedelta(hours=1)).isoformat(), (now + timedelta(days=2)).isoformat()
    times = {"install_at": None, "installed_at": late, "join_at": None, "ready_at": later}
    found = {
        "id": 1, "state": "running", "reason": "", "ended_at": None, "began_at": now.isoformat(), "actor": "uid 0",
        "options": {"power": True, "max_parallel": 4, "failure_budget": 0}, "commands": [], "api_problem": None,
        "next_command": None, "hosts": [host("w1", times), host("w2", None)], "expected_end_at": later,
        "no_expected_end": None,
    }  # fmt: skip
    return {**found, **values}


def test_an_active_rollout_has_the_expected_times_of_its_hosts_and_its_end():
    now = datetime.now(UTC)
    later = now + timedelta(days=2)
    rollout = active(now)

    rows = [*host_rows(rollout)]
    lines = [*rollout_lines(rollout)]

    columns = ("HOST", "PART", "PHASE", "SINCE", "LIMIT", "INSTALLED", "JOIN", "READY", "NOTE")
    assert host_columns(rollout) == columns
    shown = dict(zip(columns, rows[0], strict=True))
    assert shown["INSTALLED"] in (f"{now:%H:%M}", f"{datetime.now(UTC):%H:%M}")  # it is later than usual
    assert (shown["JOIN"], shown["READY"]) == ("–", f"{later:%Y-%m-%d %H:%M}")
    assert rows[1][5:8] == ("–", "–", "–")
    assert lines[-2] == "  INSTALLED, JOIN, READY (UTC) are expected, if nothing fails and all takes what is usual"
    assert re.fullmatch(rf"  expected end: {later:%Y-%m-%d %H:%M} UTC \(in 1 d 23 h\)", lines[-1]), lines[-1]
    paused = [*rollout_lines(active(now, expected_end_at=None, no_expected_end="it is paused"))]
    assert paused[-1] == "  no expected end: it is paused"


def test_a_rollout_that_has_ended_has_no_expected_times():
    now = datetime.now(UTC)
    rollout = active(now, ended_at=now.isoformat(), state="ended", expected_end_at=None)

    assert host_columns(rollout) == ("HOST", "PART", "PHASE", "SINCE", "LIMIT", "NOTE")
    assert [len(row) for row in host_rows(rollout)] == [6, 6]
    assert not [line for line in rollout_lines(rollout) if "expected" in line]


def test_a_watch_prints_no_rollout_of_which_only_the_expected_times_moved():
    now = datetime.now(UTC)

    assert is_changed(None, active(now))
    assert not is_changed(active(now), active(now, expected_end_at=None, hosts=without_times(now)))
    assert is_changed(active(now), active(now, reason="lunch"))


def without_times(now: datetime) -> object:
    return [{**each, "expected": None} for each in active(now)["hosts"]]  # type: ignore[attr-defined] # a list


@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_watch_does_not_wait_for_a_daemon_that_did_not_answer_before(netboot: CommandLine, is_deaf: bool):
    with socket.socket(socket.AF_UNIX) as daemon, socket.socket(socket.AF_UNIX) as first:
        if is_deaf:
            daemon.bind(str(netboot.directory / "control.sock"))
            daemon.listen(0)
            first.connect(daemon.getsockname())
        watched = netboot("cluster", "rollout", "show", "--watch")

    assert type(watched.exception) is (DeafDaemonError if is_deaf else NoDaemonError)
    assert watched.stderr == ""

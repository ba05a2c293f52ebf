"""What the page of the cluster shows of files, deadlines and roles; and files that wait for a confirmation."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from netboot.admin.pages.cluster.cluster_page import UnconfirmedFiles
from netboot.admin.pages.cluster.cluster_views import ClusterView, DeadlineRow, InstalledCombination
from netboot.model.actor import Actor, Source
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import Deadline, RoleFile, RoleUse, SecretKind
from netboot.model.release import RemoteRelease
from netboot.operate.cluster.role_file_uses import IgnitionRequest, RoleFileStatus

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALICE, BOB = Actor("alice", Source.PAGE), Actor("bob", Source.PAGE)


def host(number: int, role: Role, **more: Any) -> Host:
    name = HostName(f"{role.value[0]}{number}")
    values: dict[str, Any] = {"boot_media": "ol8", "release": "ock-1", "disk": "/dev/vda"} | more
    return Host(name, role, (Mac.parse(f"52:54:00:00:00:{number:02x}"),), **values)


def status(path: str, uses: list[str], **more: Any) -> RoleFileStatus:
    values: dict[str, Any] = {"hosts": [], "file": RoleFile(), "taken_at": NOON, "is_estimate": False}
    return RoleFileStatus(Path(path), uses, **values | {"deadlines": (), "problems": ()} | more)


def view(files: list[RoleFileStatus], hosts: list[Host]) -> ClusterView:
    return ClusterView.of(files, hosts, now=NOON)


@pytest.mark.parametrize(
    ("left", "state", "colour", "shown"),
    [
        (timedelta(hours=23, minutes=59), "valid", "green", "23 h 59 min"),
        (timedelta(hours=6), "valid", "green", "6 h 0 min"),
        (timedelta(hours=5, minutes=59), "ends soon", "amber", "5 h 59 min"),
        (timedelta(minutes=59), "ends soon", "amber", "59 min"),
        (timedelta(0), "ended", "red", ""),
        (timedelta(hours=-1), "ended", "red", ""),
    ],
)
def test_a_deadline_has_a_severity_and_the_time_left(left: timedelta, state: str, colour: str, shown: str):
    deadline = Deadline(SecretKind.BOOTSTRAP, NOON, NOON + left, is_estimate=False)

    row = DeadlineRow.of(deadline, NOON)

    assert (row.state, row.colour, row.left) == (state, colour, shown)


def test_each_use_has_a_row_and_a_file_of_a_host_alone_cannot_be_replaced():
    files = [status("/ign/w.ign", ["worker"]), status("/ign/own.ign", [], hosts=["w9"], problems=["bad"])]

    page = view(files, [])

    assert [(row.key, row.title) for row in page.ignition] == [
        ("init", "First control plane"),
        ("control-plane", "Further control planes"),
        ("worker", "Workers"),
        ("own.ign", "Own file of w9"),
    ]
    replace = [row.replace and row.replace.refusal for row in page.ignition]
    assert replace == [
        "the hosts files have no roles.control-plane.ignition.init; write its path there, then reload",
        "the hosts files have no roles.control-plane.ignition.join; write its path there, then reload",
        None,
        None,
    ]
    assert page.ignition[3].replace is None
    assert page.problems == ["bad"]


@pytest.mark.parametrize(
    ("is_missing", "made", "is_to_come", "problems"),
    [
        (True, {RoleUse.WORKER}, True, ["other"]),
        (True, {RoleUse.INIT}, False, ["gone", "other"]),
        (False, {RoleUse.WORKER}, False, ["gone", "other"]),
    ],
)
def test_a_missing_file_that_a_command_makes_is_no_problem(
    is_missing: bool, made: set[RoleUse], is_to_come: bool, problems: list[str]
):
    file = status("/ign/w.ign", ["worker"], file=None, problems=["gone", "other"], is_missing=is_missing)

    page = ClusterView.of([file], [], made=made, now=NOON)

    assert [row.is_made_by_rollout for row in page.ignition] == [False, False, is_to_come]
    assert page.problems == problems


def test_a_file_is_shown_without_its_secrets():
    file = RoleFile(RoleUse.WORKER, ("ab" * 32,), "192.0.2.10:6443", secrets={SecretKind.BOOTSTRAP: b"hash"})

    (worker,) = [row for row in view([status("/ign/w.ign", ["worker"], file=file)], []).ignition if row.key == "worker"]

    assert [(fact.label, fact.text, fact.is_code) for fact in worker.facts] == [
        ("Endpoint", "192.0.2.10:6443", False),
        ("CA key, SHA-256", "ab" * 32, True),
    ]


def test_a_role_lists_its_hosts_and_what_they_install():
    remote = RemoteRelease("http://mirror.example.org/ock", "ock")
    workers = [host(number, Role.WORKER) for number in range(1, 15)] + [host(15, Role.WORKER, release=remote)]

    planes, row = view([], [*workers, host(1, Role.CONTROL_PLANE, release=None)]).roles

    assert (row.role, len(row.hosts), row.more_hosts) == ("worker", 12, 3)
    assert row.installs == [
        InstalledCombination("ol8", "ock-1", is_remote=False, count=14),
        InstalledCombination("ol8", "ock of http://mirror.example.org/ock", is_remote=True, count=1),
    ]
    assert planes.installs == [InstalledCombination("ol8", None, is_remote=False, count=1)]


def test_a_file_waits_for_its_confirmation_by_who_sent_it_and_is_taken_once():
    files = UnconfirmedFiles()
    request = IgnitionRequest(RoleUse.INIT, b"{}")
    id_ = files.keep(request, ALICE)

    with pytest.raises(web.HTTPConflict):
        files.take(id_, BOB)
    assert files.take(id_, ALICE) is request
    with pytest.raises(web.HTTPConflict):
        files.take(id_, ALICE)


def test_at_most_four_files_wait_and_none_for_longer_than_ten_minutes(monkeypatch: pytest.MonkeyPatch):
    files = UnconfirmedFiles()
    ids = [files.keep(IgnitionRequest(RoleUse.INIT, b"{}"), ALICE) for _ in range(5)]

    with pytest.raises(web.HTTPConflict):
        files.take(ids[0], ALICE)
    assert files.take(ids[1], ALICE).content == b"{}"
    monkeypatch.setattr("netboot.admin.pages.cluster.cluster_page._CONFIRM_S", -1.0)
    with pytest.raises(web.HTTPConflict):
        files.take(files.keep(IgnitionRequest(RoleUse.INIT, b"{}"), ALICE), ALICE)

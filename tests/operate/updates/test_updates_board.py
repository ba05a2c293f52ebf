"""Each state of a node, what an operator types next, the order of the nodes, and each warning."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netboot.model.host.host import HostName, Role
from netboot.model.node_report import InstalledCommit, NodeReport
from netboot.operate.updates.updates_board import (
    KnownCommit,
    NodeFacts,
    NodeUpdate,
    OfferedContent,
    UpdatesBoard,
    UpdateState,
    judge_updates,
    minor_of,
)

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
A, B, C = "a" * 64, "b" * 64, "c" * 64
OLD = KnownCommit(A, "1.33-1", "1.33.1", NOW - timedelta(days=90))
NEW = KnownCommit(B, "1.33-2", "1.33.2", NOW - timedelta(days=1))
NEXT = KnownCommit(C, "1.34", "1.34.0", NOW)
CP, WORKER = Role.CONTROL_PLANE, Role.WORKER
LONG_AGO = NOW - timedelta(days=30)


def content(
    offered: KnownCommit | None = NEW, installs: KnownCommit | None = NEW, *, name: str = "1.33"
) -> OfferedContent:
    """The library has all three releases; the tag and the alias `name` name these two."""
    releases = {each.release: each for each in (OLD, NEW, NEXT)}
    return OfferedContent(
        "olcne/ock-ostree",
        tags={name: [offered]} if offered else {},
        releases=releases | ({name: installs} if installs else {}),
        changed_at=LONG_AGO,
        address="10.0.0.1:8080/olcne/ock-ostree",
    )


def node(
    name: str = "cp1",
    role: Role = CP,
    *,
    booted: str = A,
    staged: str = "",
    pending: str = "",
    updater: str = "active",
    tag: str = "1.33",
) -> NodeFacts:
    """A node that was installed with the oldest release a month ago and reported a minute ago."""
    report = NodeReport(booted, booted_at=LONG_AGO, staged=staged or booted, pending=pending, tag=tag, updater=updater)
    installed = InstalledCommit(tag, A, LONG_AGO)
    return NodeFacts(
        HostName(name), role, tag, installed=installed, report=report, reported_at=NOW - timedelta(minutes=1)
    )


def unreported(name: str = "cp1", role: Role = CP, *, tag: str = "1.33") -> NodeFacts:
    return NodeFacts(HostName(name), role, tag, installed=InstalledCommit(tag, A, NOW - timedelta(minutes=5)))


def judged(facts: NodeFacts, content: OfferedContent) -> NodeUpdate:
    return judge_updates([facts], content, now=NOW).nodes[0]


@pytest.mark.parametrize(
    ("facts", "offered", "state", "command", "step"),
    [
        pytest.param(node(booted=B), NEW, UpdateState.CURRENT, "", "nothing", id="runs-what-its-tag-names"),
        pytest.param(
            node(),
            NEW,
            UpdateState.OFFERED,
            "",
            "wait two minutes: the node looks at its tag, and downloads what it names",
            id="has-not-downloaded-it",
        ),
        pytest.param(
            node(staged=B),
            NEW,
            UpdateState.STAGED,
            "ocne node update -N cp1",
            "deploy it and restart the node: ocne node update -N cp1",
            id="has-downloaded-it",
        ),
        pytest.param(
            node(staged=B, pending=B),
            NEW,
            UpdateState.RESTARTING,
            "",
            "wait until the node has restarted",
            id="has-deployed-it",
        ),
        pytest.param(
            node(),
            None,
            UpdateState.NOT_OFFERED,
            "",
            "import 1.33: netboot content import-image FILE",
            id="its-tag-does-not-exist",
        ),
        pytest.param(
            replace(node(), follows=False),
            NEW,
            UpdateState.NOT_OFFERED,
            "",
            "nothing: it follows another registry",
            id="follows-another-registry",
        ),
        pytest.param(
            replace(node(staged=B), follows=False),
            OLD,
            UpdateState.STAGED,
            "ocne node update -N cp1",
            "deploy it and restart the node: ocne node update -N cp1",
            id="has-downloaded-from-another-registry",
        ),
        pytest.param(node(staged=C), NEW, UpdateState.OFFERED, "", None, id="has-downloaded-what-the-tag-named-before"),
        pytest.param(unreported(), OLD, UpdateState.CURRENT, "", "nothing", id="was-installed-and-has-not-reported"),
        pytest.param(
            NodeFacts(HostName("cp1"), CP, "1.33"),
            NEW,
            UpdateState.UNKNOWN,
            "",
            "nothing: no install of it is recorded",
            id="is-not-installed",
        ),
    ],
)
def test_the_state_of_a_node_and_what_is_next(
    facts: NodeFacts, offered: KnownCommit | None, state: UpdateState, command: str, step: str | None
) -> None:
    found = judged(facts, content(offered, installs=offered))

    assert (found.state, found.next_command) == (state, command)
    assert step is None or found.next_step == step


def test_a_whole_row() -> None:
    assert judged(node(staged=B), content()) == NodeUpdate(
        HostName("cp1"),
        CP,
        UpdateState.STAGED,
        "1.33",
        runs=OLD,
        staged=NEW,
        offered=NEW,
        installs=NEW,
        reported_at=NOW - timedelta(minutes=1),
        booted_at=LONG_AGO,
        next_command="ocne node update -N cp1",
        next_step="deploy it and restart the node: ocne node update -N cp1",
        warnings=[],
    )


def test_without_a_report_a_node_runs_what_was_installed_and_the_row_says_so() -> None:
    found = judged(unreported(), content(OLD, OLD))

    assert (found.runs, found.is_since_install, found.reported_at, found.staged) == (OLD, True, None, None)


def test_what_a_node_reports_of_a_commit_that_the_library_does_not_have_is_shown() -> None:
    foreign = NodeReport("d" * 64, booted_version="1.30.9", booted_date=LONG_AGO)

    found = judged(replace(node(), report=foreign), content())

    assert found.runs == KnownCommit("d" * 64, "", "1.30.9", LONG_AGO)
    assert str(found.runs) == "1.30.9 (dddddddddddd)"
    assert (str(NEW), str(KnownCommit(A))) == ("1.33-2 (bbbbbbbbbbbb)", "aaaaaaaaaaaa")


def test_a_worker_waits_until_every_control_plane_is_updated() -> None:
    board = judge_updates([node("w1", WORKER, staged=B), node("cp2", staged=B), node("cp1")], content(), now=NOW)

    assert [(each.host, each.next_command) for each in board.nodes] == [
        ("cp2", "ocne node update -N cp2"),
        ("cp1", ""),
        ("w1", ""),
    ]
    assert board.nodes[2].next_step == "update the control planes first: cp1, cp2"
    assert board.next == board.nodes[0]


def test_a_staged_worker_is_updated_once_the_control_planes_are_current() -> None:
    board = judge_updates([node("w1", WORKER, staged=B), node("cp1", booted=B)], content(), now=NOW)

    assert [(each.host, each.next_command) for each in board.nodes] == [("cp1", ""), ("w1", "ocne node update -N w1")]


def test_a_board_on_which_nothing_is_to_be_typed_has_no_next_node() -> None:
    assert judge_updates([node(booted=B)], content(), now=NOW).next is None
    assert judge_updates([], content(), now=NOW, registry=True, report=True) == UpdatesBoard(
        [], [], registry=True, report=True
    )


def test_another_kubernetes_minor_is_staged_by_ocne_first() -> None:
    moved = replace(node(), release="1.34")  # its host has another release now; its update.yaml has the tag 1.33
    named = replace(content(OLD), tags={"1.33": [OLD], "1.34": [NEXT]})

    found = judged(moved, named)

    assert found.next_command == "ocne cluster stage --version 1.34"
    assert found.next_step == "name Kubernetes 1.34 to all nodes: ocne cluster stage --version 1.34"


def test_after_the_minor_is_staged_the_node_is_updated() -> None:
    staged = replace(node(staged=C, tag="1.34"), release="1.34")

    found = judged(staged, content(NEXT, NEXT, name="1.34"))

    assert found.next_command == "ocne node update -N cp1"


def test_an_alias_that_was_moved_to_another_minor_needs_the_minor_to_be_staged() -> None:
    found = judged(node(staged=C, tag="stable"), content(NEXT, NEXT, name="stable"))

    assert found.next_command == "ocne cluster stage --version 1.34"


def test_an_alias_that_was_moved_within_a_minor_does_not() -> None:
    found = judged(node(staged=B, tag="stable"), content(name="stable"))

    assert found.next_command == "ocne node update -N cp1"


def test_a_node_that_restarts_needs_no_minor_to_be_staged() -> None:
    assert judged(node(pending=C, tag="stable"), content(NEXT, NEXT, name="stable")).next_command == ""


def test_of_a_tag_with_two_architectures_a_node_is_offered_its_own():
    both = replace(content(), tags={"1.33": [NEXT, NEW]})  # the release 1.33 is NEW

    assert judged(node(booted=B), both).state is UpdateState.CURRENT
    assert judged(node(), both).offered == NEW
    assert judge_updates([], both, now=NOW).warnings == []


@pytest.mark.parametrize(
    ("name", "minor"),
    [
        ("1.33", "1.33"),
        ("1.33.5-2", "1.33"),
        ("v1.30", "1.30"),
        ("1.33_a", "1.33"),
        ("stable", ""),
        ("133", ""),
        ("", ""),
    ],
)
def test_the_minor_that_a_name_has(name: str, minor: str) -> None:
    assert minor_of(name) == minor


@pytest.mark.parametrize(
    ("facts", "having", "warning"),
    [
        pytest.param(
            node(),
            content(None),
            "there is no image olcne/ock-ostree:1.33: netboot content import-image FILE",
            id="its-tag-does-not-exist",
        ),
        pytest.param(
            node(booted=B),
            content(NEW, OLD),
            "an install of cp1 gives 1.33-1 (aaaaaaaaaaaa), which is older than 1.33-2 (bbbbbbbbbbbb), which it runs",
            id="a-new-install-would-be-older",
        ),
        pytest.param(
            replace(node(booted=B), reported_at=NOW - timedelta(minutes=61)),
            content(),
            "its last report is of 2026-11-30 10:59 UTC; see netboot-updates.timer on the node",
            id="late",
        ),
        pytest.param(
            replace(node(booted=B), follows=False),
            content(),
            "its /etc/ocne/update.yaml names another registry, so it is not updated from here; "
            "ocne cluster stage --version VERSION -r 10.0.0.1:8080/olcne/ock-ostree",
            id="follows-another-registry",
        ),
        pytest.param(
            node(booted=B, updater="inactive"),
            content(),
            "ocne-update is inactive; on the node: systemctl enable --now ocne-update",
            id="ocne-update-does-not-run",
        ),
        pytest.param(
            node(),
            content(),
            "ocne-update has not pulled 1.33-2 (bbbbbbbbbbbb) in half an hour; on the node: journalctl -u ocne-update. "
            "It never pulls a commit that the node has already, as after a tag was moved back",
            id="ocne-update-never-pulled",
        ),
        pytest.param(
            node(booted=B, staged=C),
            content(),
            "ocne node update would deploy 1.34 (cccccccccccc), which its tag does not name any longer",
            id="the-tag-was-moved-back",
        ),
    ],
)
def test_a_warning_of_a_node(facts: NodeFacts, having: OfferedContent, warning: str) -> None:
    assert judged(facts, having).warnings == [warning]


@pytest.mark.parametrize(
    ("facts", "having"),
    [
        pytest.param(node(booted=B), content(), id="current"),
        pytest.param(
            node(), replace(content(), changed_at=NOW - timedelta(minutes=20)), id="the-tag-was-moved-just-now"
        ),
        pytest.param(node(), replace(content(), changed_at=None), id="the-time-of-the-tag-is-unknown"),
        pytest.param(node(booted=B), content(NEW, replace(OLD, dated=None)), id="a-commit-without-a-date"),
        pytest.param(replace(node(booted=B), report=NodeReport(B)), content(), id="an-old-script-that-reports-little"),
    ],
)
def test_nothing_is_warned_of(facts: NodeFacts, having: OfferedContent) -> None:
    assert judged(facts, having).warnings == []


def test_a_node_that_never_reported_is_warned_of_where_nodes_report() -> None:
    unheard = replace(unreported(), installed=InstalledCommit("1.33", A, LONG_AGO))
    warning = "it has never reported; only an install with updates.report gives a node the script"

    assert judge_updates([unheard], content(OLD, OLD), now=NOW, report=True).nodes[0].warnings == [warning]
    assert judge_updates([unheard], content(OLD, OLD), now=NOW).nodes[0].warnings == []


def test_a_tag_that_is_another_commit_than_the_release_of_its_name_is_warned_of_once() -> None:
    board = judge_updates([node("cp1", booted=B), node("cp2", booted=B)], content(NEW, OLD), now=NOW)

    assert board.warnings == [
        "olcne/ock-ostree:1.33 is 1.33-2 (bbbbbbbbbbbb), and the release 1.33 is 1.33-1 (aaaaaaaaaaaa): a new node is "
        "installed with another commit than nodes are updated to; netboot content promote NAME 1.33 moves both"
    ]


def test_what_of_the_library_cannot_be_read_is_warned_of() -> None:
    assert judge_updates([], replace(content(), faults=["damaged"]), now=NOW).warnings == ["damaged"]

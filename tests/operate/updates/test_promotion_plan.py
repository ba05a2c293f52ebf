"""The effects of a promotion on nodes, armings and hosts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install, InstallTarget
from netboot.model.node_report import InstalledCommit, NodeReport
from netboot.model.release import EntryKind
from netboot.operate.updates.promotion_plan import NoticingNode, PromotionPlan, plan_promotion
from netboot.operate.updates.updates_board import KnownCommit, NodeFacts, OfferedContent

NOW: Final = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
A, B = "a" * 64, "b" * 64
OLD: Final = KnownCommit(A, "1.33-1", "1.33.1", NOW - timedelta(days=90))
NEW: Final = KnownCommit(B, "1.33-2", "1.33.2", NOW)
CONTENT: Final = OfferedContent(
    "olcne/ock-ostree", tags={"stable": [OLD]}, releases={"1.33-1": OLD, "1.33-2": NEW, "stable": OLD}
)


def host(name: str, role: Role = Role.WORKER, *, release: str = "stable") -> Host:
    return Host(HostName(name), role, (Mac("52:54:00:aa:bb:01"),), boot_media="ol8", release=release)


def node(name: str, role: Role = Role.WORKER, *, tag: str = "stable", booted: str = A) -> NodeFacts:
    return NodeFacts(
        HostName(name),
        role,
        "stable",
        installed=InstalledCommit(tag, A, NOW),
        report=NodeReport(booted, tag=tag),
        reported_at=NOW,
    )


def plan(
    *nodes: NodeFacts,
    name: str = "1.33-2",
    kind: EntryKind = EntryKind.RELEASE,
    repository: str = "olcne/ock-ostree",
    hosts: tuple[Host, ...] = (),
    installs: tuple[Install, ...] = (),
) -> PromotionPlan:
    return plan_promotion(
        name,
        "stable" if kind is EntryKind.RELEASE else "ol8",
        kind=kind,
        repository=repository,
        nodes=nodes,
        content=CONTENT,
        hosts=hosts,
        installs={install.host: install for install in installs},
    )


def armed(name: str, *, release: str = "stable", commit: str | None = A) -> Install:
    target = InstallTarget(frozenset(), "/dev/vda", release, commit)
    return Install(HostName(name)).armed(at=NOW, reason="test", attempts=1, target=target)


def test_a_whole_plan():
    hosts = (host("w2"), host("cp1", Role.CONTROL_PLANE), host("other", release="1.33-1"))

    found = plan(
        node("w2"),
        node("cp1", Role.CONTROL_PLANE),
        node("w1", booted=B),
        hosts=hosts,
        installs=(armed("w3"), armed("w4", commit=B), armed("w5", release="1.33-1"), armed("w6", commit=None)),
    )

    assert found == PromotionPlan(
        "stable",
        "1.33-2",
        before=OLD,
        after=NEW,
        tag="olcne/ock-ostree:stable",
        nodes=[
            NoticingNode(HostName("cp1"), Role.CONTROL_PLANE, OLD, False, NEW),
            NoticingNode(HostName("w1"), Role.WORKER, NEW, False, None),
            NoticingNode(HostName("w2"), Role.WORKER, OLD, False, NEW),
        ],
        armings_end=[HostName("w3")],
        installs=[HostName("cp1"), HostName("w2")],
        warnings=[],
    )


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(node("w1", tag="1.33"), id="follows-another-tag"),
        pytest.param(replace(node("w1"), follows=False), id="follows-another-registry"),
        pytest.param(NodeFacts(HostName("w1"), Role.WORKER, "stable"), id="is-not-installed"),
    ],
)
def test_a_node_that_does_not_notice(facts: NodeFacts):
    assert plan(facts).nodes == []


def test_a_node_without_a_report_notices_by_what_was_installed():
    [found] = plan(replace(node("w1"), report=None, reported_at=None)).nodes

    assert found == NoticingNode(HostName("w1"), Role.WORKER, OLD, True, NEW)


def test_a_release_that_is_no_image_moves_no_tag_and_no_node_notices():
    found = plan(node("w1"), repository="", installs=(armed("w3"),), hosts=(host("w1"),))

    assert (found.tag, found.nodes, found.armings_end, found.installs) == (None, [], ["w3"], ["w1"])
    assert found.warnings == ["the release 1.33-2 is no image, so no node is updated to it; its tag stable stays"]


def test_a_boot_medium_concerns_no_node():
    medium, hosts = EntryKind.MEDIUM, (host("w1"),)

    found = plan(node("w1"), name="ol9", kind=medium, repository="", hosts=hosts, installs=(armed("w3"),))

    assert found == PromotionPlan("ol8", "ol9", None, None, None, [], [], [HostName("w1")], [])


def test_an_older_release_is_warned_of():
    found = plan(node("w1", booted=B), name="1.33-1")

    assert found.warnings == ["1.33-1 (aaaaaaaaaaaa) is older than what w1 run"]
    assert found.nodes == [NoticingNode(HostName("w1"), Role.WORKER, NEW, False, OLD)]


def test_a_release_whose_commit_cannot_be_read_ends_no_arming():
    found = plan(node("w1"), name="damaged", installs=(armed("w3"),))

    assert (found.after, found.armings_end) == (None, [])
    assert found.nodes == [NoticingNode(HostName("w1"), Role.WORKER, OLD, False, None)]

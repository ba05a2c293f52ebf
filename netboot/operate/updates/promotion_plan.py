"""What the promotion of a release would do: which nodes notice, which armings end, which hosts are installed with it.

Pure. A node looks at its tag every two minutes, so moving a tag is what updates a rack.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netboot.model.host.host import Host, HostName, Role
from netboot.model.install.install import Install
from netboot.model.release import EntryKind
from netboot.operate.updates.updates_board import KnownCommit, NodeFacts, OfferedContent, followed_tag, running


@dataclass(frozen=True, slots=True)
class NoticingNode:
    """A node whose tag is moved. `stages`: what it downloads then; None: it runs that already."""

    host: HostName
    role: Role
    runs: KnownCommit | None
    is_since_install: bool  # the node has not reported: `runs` is what was installed
    stages: KnownCommit | None


@dataclass(frozen=True, slots=True)
class PromotionPlan:
    """The effects of a promotion. `tag` is the image's tag that moves: `REPOSITORY:ALIAS`; None: none does."""

    alias: str
    name: str
    before: KnownCommit | None  # what the alias is now
    after: KnownCommit | None  # None: a boot medium, or a release whose commit cannot be read
    tag: str | None
    nodes: Sequence[NoticingNode]
    armings_end: Sequence[HostName]
    installs: Sequence[HostName]  # the hosts that a new install gives it
    warnings: Sequence[str]


def plan_promotion(
    name: str,
    alias: str,
    *,
    kind: EntryKind,
    repository: str,
    nodes: Iterable[NodeFacts],
    content: OfferedContent,
    hosts: Iterable[Host],
    installs: Mapping[HostName, Install],
) -> PromotionPlan:
    """Plan to make `alias` an alias of `name`; `repository` is that of its image, empty: it is none."""
    declared = [host for host in hosts if _named(host, kind) == alias]
    if kind is not EntryKind.RELEASE:
        return PromotionPlan(alias, name, None, None, None, [], [], _names(declared), [])
    before, after = content.releases.get(alias), content.releases.get(name)
    tag = f"{repository}:{alias}" if repository else None
    noticing = [_noticing(each, content, after) for each in nodes if _follows(each, alias)] if tag else []
    found = [] if tag else [f"the release {name} is no image, so no node is updated to it; its tag {alias} stays"]
    found += _older(after, noticing)
    return PromotionPlan(
        alias,
        name,
        before,
        after,
        tag,
        sorted(noticing, key=lambda node: (node.role is not Role.CONTROL_PLANE, node.host)),
        sorted(install.host for install in installs.values() if _ends(install, alias, after)),
        _names(declared),
        found,
    )


def _named(host: Host, kind: EntryKind) -> str | None:
    return host.local_release if kind is EntryKind.RELEASE else host.boot_media


def _names(hosts: Iterable[Host]) -> Sequence[HostName]:
    return sorted(host.name for host in hosts)


def _follows(facts: NodeFacts, alias: str) -> bool:
    """Return whether a node is installed and looks at this tag of this appliance."""
    if not facts.follows or (facts.report is None and facts.installed is None):
        return False
    return followed_tag(facts) == alias


def _noticing(facts: NodeFacts, content: OfferedContent, after: KnownCommit | None) -> NoticingNode:
    runs, is_since_install = running(facts, content)
    stages = after if after is not None and (runs is None or runs.commit != after.commit) else None
    return NoticingNode(facts.host, facts.role, runs, is_since_install, stages)


def _ends(install: Install, alias: str, after: KnownCommit | None) -> bool:
    """Return whether the arming of an install ends: it is bound to the commit that the alias names now."""
    target = install.target
    if not install.is_armed or target is None or target.local_release != alias or not target.commit or after is None:
        return False
    return target.commit != after.commit


def _older(after: KnownCommit | None, nodes: Sequence[NoticingNode]) -> Sequence[str]:
    """Warn of nodes that would be given an older commit than they run."""
    if after is None or after.dated is None:
        return []
    behind = [node.host for node in nodes if node.runs and node.runs.dated and node.runs.dated > after.dated]
    return [f"{after} is older than what {', '.join(sorted(behind))} run"] if behind else []

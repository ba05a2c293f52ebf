"""The board of updates: per node what runs, what is downloaded, what its tag offers, and what an operator types next.

Pure. An update of a node has three steps (Oracle CNE 2.3.3): `ocne cluster stage` names the tag of another Kubernetes
minor in /etc/ocne/update.yaml; `ocne-update` on the node looks at that tag every two minutes and downloads its commit;
`ocne node update` deploys it and restarts the node. `ocne` updates every control plane before any worker.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Final

from netboot.model.host.host import HostName, Role
from netboot.model.node_report import InstalledCommit, NodeReport

LATE: Final = timedelta(hours=1)  # a node reports every ten minutes
_PULLED: Final = timedelta(minutes=30)  # a node that has not downloaded by then needs an operator
_MINOR: Final = re.compile(r"v?(\d+\.\d+)(?:[.+_-].*)?")


class UpdateState(StrEnum):
    """Where a node is on the way to what its tag names."""

    CURRENT = "current"  # it runs that commit
    OFFERED = "offered"  # it does not run it, and has not downloaded it
    STAGED = "staged"  # it has downloaded it
    RESTARTING = "restarting"  # it is deployed, and the node's next start runs it
    NOT_OFFERED = "not-offered"  # this appliance has no image for it
    UNKNOWN = "unknown"  # what the node runs is not known


@dataclass(frozen=True, slots=True)
class KnownCommit:
    """A commit, and what is known of it. `release`: a release of the library that is this commit; empty: none."""

    commit: str
    release: str = ""
    version: str = ""
    dated: datetime | None = None

    def __str__(self) -> str:
        name = self.release or self.version
        return f"{name} ({self.commit[:12]})" if name else self.commit[:12]


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What is known of one declared host. `release`: the local one that it has in the hosts files; empty: none."""

    host: HostName
    role: Role
    release: str = ""
    _: KW_ONLY
    installed: InstalledCommit | None = None
    report: NodeReport | None = None
    reported_at: datetime | None = None
    follows: bool = True  # its /etc/ocne/update.yaml names this appliance, as far as is known


@dataclass(frozen=True, slots=True)
class OfferedContent:
    """What the library has. `tags`: the commits of each tag of the repository, one for each architecture.

    `releases`: the commits of releases and aliases.
    """

    repository: str
    tags: Mapping[str, Sequence[KnownCommit]] = field(default_factory=dict)
    releases: Mapping[str, KnownCommit] = field(default_factory=dict)
    changed_at: datetime | None = None  # when a tag was written or moved last
    address: str = ""  # of the repository as nodes have it: `ADDRESS:PORT/olcne/ock-ostree`
    faults: Sequence[str] = ()  # what of it cannot be read

    def offered(self, tag: str, *like: KnownCommit | None) -> KnownCommit | None:
        """Return what a tag offers: of several architectures that of one of these commits, else the first one."""
        found = self.tags.get(tag, ())
        alike = [each for known in like if known for each in found if each.commit == known.commit]
        return next(iter([*alike, *found]), None)

    def named(self, commit: str, *, version: str = "", dated: datetime | None = None) -> KnownCommit:
        """Return a commit with what is known of it here, else with what its node reported."""
        found = (each for each in chain(self.releases.values(), *self.tags.values()) if each.commit == commit)
        known = next(found, KnownCommit(commit))
        return replace(known, version=known.version or version, dated=known.dated or dated)


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """One node. `next_command` is what an operator types, empty: nothing; `next_step`: the same in words."""

    host: HostName
    role: Role
    state: UpdateState
    tag: str = ""  # that the node follows
    follows: bool = True  # it follows this appliance
    runs: KnownCommit | None = None
    is_since_install: bool = False  # `runs` is what was installed: the node has not reported
    staged: KnownCommit | None = None  # downloaded, and not the one that runs
    offered: KnownCommit | None = None  # what the tag names
    installs: KnownCommit | None = None  # what Kickstart would install now
    reported_at: datetime | None = None
    booted_at: datetime | None = None
    next_command: str = ""
    next_step: str = ""
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class UpdatesBoard:
    """All nodes, in the order in which an operator acts: control planes first; then what concerns several nodes."""

    nodes: Sequence[NodeUpdate]
    warnings: Sequence[str] = ()
    registry: bool = False  # updates.registry
    report: bool = False  # updates.report

    @property
    def next(self) -> NodeUpdate | None:
        """The first node for which an operator has something to type."""
        return next((node for node in self.nodes if node.next_command), None)


_ORDER: Final = tuple(UpdateState)
_ACTS_FIRST: Final = (UpdateState.RESTARTING, UpdateState.STAGED, UpdateState.OFFERED)


def judge_updates(
    nodes: Iterable[NodeFacts], content: OfferedContent, *, now: datetime, registry: bool = False, report: bool = False
) -> UpdatesBoard:
    """Judge every declared host; `registry` and `report` are the settings `updates.…` in force."""
    judged = [_judged(each, content, now=now, reports=report) for each in nodes]
    behind = [node for node in judged if _is_behind(node)]
    control_planes = [node.host for node in behind if node.role is Role.CONTROL_PLANE]
    shown = [_with_next_step(node, control_planes) for node in judged]
    return UpdatesBoard(
        sorted(shown, key=_order), [*content.faults, *_of_content(content)], registry=registry, report=report
    )


def minor_of(name: str) -> str:
    """Return the Kubernetes minor that a release, tag or version names (`1.33` of `1.33.5-2`); empty: none."""
    found = _MINOR.fullmatch(name)
    return found[1] if found else ""


def _order(node: NodeUpdate) -> tuple[bool, int, str]:
    rank = _ACTS_FIRST.index(node.state) if node.state in _ACTS_FIRST else len(_ACTS_FIRST) + _ORDER.index(node.state)
    return (node.role is not Role.CONTROL_PLANE, rank, node.host)


def _is_behind(node: NodeUpdate) -> bool:
    return node.state in _ACTS_FIRST


def _judged(facts: NodeFacts, content: OfferedContent, *, now: datetime, reports: bool) -> NodeUpdate:
    report, (runs, is_since_install) = facts.report, running(facts, content)
    tag = followed_tag(facts)
    staged, installs = _staged(report, content), content.releases.get(facts.release)
    offered = content.offered(tag, staged, installs, runs) if facts.follows else None
    node = NodeUpdate(
        facts.host,
        facts.role,
        _state(runs, offered, staged, report),
        tag,
        facts.follows,
        runs,
        is_since_install=is_since_install,
        staged=staged,
        offered=offered,
        installs=installs,
        reported_at=facts.reported_at if report is not None else None,
        booted_at=report.booted_at if report is not None else None,
    )
    return replace(node, warnings=_warnings(facts, node, content, now=now, reports=reports))


def running(facts: NodeFacts, content: OfferedContent) -> tuple[KnownCommit | None, bool]:
    """Return what a node runs, and whether that is only what was installed: it has not reported."""
    report, installed = facts.report, facts.installed
    if report is not None:
        return content.named(report.booted, version=report.booted_version, dated=report.booted_date), False
    if installed is None or not installed.commit:
        return None, False
    return content.named(installed.commit), True


def followed_tag(facts: NodeFacts) -> str:
    """Return the tag that a node looks at: as it reported, else that of its install."""
    if facts.report is not None and facts.report.tag:
        return facts.report.tag
    return facts.installed.release if facts.installed is not None else facts.release


def _staged(report: NodeReport | None, content: OfferedContent) -> KnownCommit | None:
    if report is None or not report.staged or report.staged == report.booted:
        return None
    return content.named(report.staged, version=report.staged_version, dated=report.staged_date)


def _state(
    runs: KnownCommit | None, offered: KnownCommit | None, staged: KnownCommit | None, report: NodeReport | None
) -> UpdateState:
    if runs is None:
        return UpdateState.UNKNOWN
    if report is not None and report.pending not in ("", report.booted):
        return UpdateState.RESTARTING
    if staged is not None and (offered is None or offered.commit == staged.commit):
        return UpdateState.STAGED
    if offered is None:
        return UpdateState.NOT_OFFERED
    return UpdateState.CURRENT if offered.commit == runs.commit else UpdateState.OFFERED


def _with_next_step(node: NodeUpdate, control_planes: Sequence[HostName]) -> NodeUpdate:
    """State what is next for a node; `control_planes` are those that are not updated yet."""
    if minor := _minor_to_stage(node):
        command = f"ocne cluster stage --version {minor}"
        return replace(node, next_command=command, next_step=f"name Kubernetes {minor} to all nodes: {command}")
    match node.state:
        case UpdateState.STAGED:
            first = [host for host in control_planes if host != node.host]
            if node.role is not Role.CONTROL_PLANE and first:
                return replace(node, next_step=f"update the control planes first: {', '.join(sorted(first))}")
            command = f"ocne node update -N {node.host}"
            return replace(node, next_command=command, next_step=f"deploy it and restart the node: {command}")
        case UpdateState.OFFERED:
            return replace(node, next_step="wait two minutes: the node looks at its tag, and downloads what it names")
        case UpdateState.RESTARTING:
            return replace(node, next_step="wait until the node has restarted")
        case UpdateState.NOT_OFFERED:
            import_it = f"import {node.tag or 'its release'}: netboot content import-image FILE"
            return replace(node, next_step=import_it if node.follows else "nothing: it follows another registry")
        case UpdateState.UNKNOWN:
            return replace(node, next_step="nothing: no install of it is recorded")
        case UpdateState.CURRENT:
            return replace(node, next_step="nothing")


def _minor_to_stage(node: NodeUpdate) -> str:
    """Return the minor that `ocne cluster stage` has to name before the node may be updated; empty: none."""
    if node.state is UpdateState.RESTARTING or node.runs is None:
        return ""
    followed = minor_of(node.tag)  # empty: the tag is an alias such as `stable`
    if node.installs is not None and followed:
        wanted = minor_of(node.installs.release) or minor_of(node.installs.version)
        return wanted if wanted and wanted != followed else ""
    if followed or node.offered is None:
        return ""
    runs, offered = (minor_of(each.release) or minor_of(each.version) for each in (node.runs, node.offered))
    return offered if offered and runs and offered != runs else ""


def _warnings(
    facts: NodeFacts, node: NodeUpdate, content: OfferedContent, *, now: datetime, reports: bool
) -> Sequence[str]:
    found = [*_of_reports(facts, now=now, reports=reports), *_of_updater(facts, node, content)]
    if node.runs is not None and node.follows and node.tag and node.tag not in content.tags:
        found.append(f"there is no image {content.repository}:{node.tag}: netboot content import-image FILE")
    if node.runs is not None and node.installs is not None and _is_older(node.installs, node.runs):
        found.append(
            f"an install of {facts.host} gives {node.installs}, which is older than {node.runs}, which it runs"
        )
    return found


def _of_reports(facts: NodeFacts, *, now: datetime, reports: bool) -> Sequence[str]:
    if facts.reported_at is not None and now - facts.reported_at > LATE:
        return [f"its last report is of {facts.reported_at:%Y-%m-%d %H:%M} UTC; see netboot-updates.timer on the node"]
    if reports and facts.reported_at is None and facts.installed is not None and now - facts.installed.at > LATE:
        return ["it has never reported; only an install with updates.report gives a node the script"]
    return []


def _of_updater(facts: NodeFacts, node: NodeUpdate, content: OfferedContent) -> Sequence[str]:
    """Warn of an `ocne-update` that does not run, or does nothing, and of what it would do otherwise."""
    report = facts.report
    if report is None:
        return []
    found = []
    if not node.follows:
        registry = report.registry or "another registry"
        cure = f"; ocne cluster stage --version VERSION -r {content.address}" if content.address else ""
        found.append(f"its /etc/ocne/update.yaml names {registry}, so it is not updated from here{cure}")
    if report.updater not in ("", "active"):
        found.append(f"ocne-update is {report.updater}; on the node: systemctl enable --now ocne-update")
    elif node.state is UpdateState.OFFERED and _has_had_time(facts, content):
        found.append(
            f"ocne-update has not pulled {node.offered} in half an hour; on the node: journalctl -u ocne-update. It "
            "never pulls a commit that the node has already, as after a tag was moved back"
        )
    if node.staged is not None and node.offered is not None and node.staged.commit != node.offered.commit:
        found.append(f"ocne node update would deploy {node.staged}, which its tag does not name any longer")
    return found


def _has_had_time(facts: NodeFacts, content: OfferedContent) -> bool:
    """Return whether the node was up, and its tag unchanged, long enough before its last report."""
    report, at = facts.report, facts.reported_at
    times = [content.changed_at, report.booted_at if report is not None else None]
    return at is not None and all(since is not None and at - since > _PULLED for since in times)


def _is_older(one: KnownCommit, other: KnownCommit) -> bool:
    if one.commit == other.commit or one.dated is None or other.dated is None:
        return False
    return one.dated < other.dated


def _of_content(content: OfferedContent) -> Sequence[str]:
    """Warn of tags whose image is another commit than the release of that name, which Kickstart installs."""
    return [
        f"{content.repository}:{tag} is {offered}, and the release {tag} is {installs}: a new node is installed with "
        f"another commit than nodes are updated to; netboot content promote NAME {tag} moves both"
        for tag in sorted(content.tags)
        if (installs := content.releases.get(tag)) is not None
        and (offered := content.offered(tag, installs)) is not None
        and installs.commit != offered.commit
    ]

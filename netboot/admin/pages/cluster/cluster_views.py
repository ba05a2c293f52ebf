"""What the page of the cluster shows, as values: files without their secrets, deadlines, roles. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from netboot.admin.pages.action_link import ActionLink
from netboot.model.host.host import Host, Role
from netboot.model.host.role_ignition import LIFETIMES, Deadline, RoleFile, RoleUse
from netboot.model.release import RemoteRelease
from netboot.operate.cluster.role_file_uses import KEYS_OF_USES, TAKEN_USES, RoleFileStatus

SHOWN_HOSTS: Final = 12
_SOON: Final = 4  # the last quarter of its life
_TITLES: Final = {
    RoleUse.INIT: "First control plane",
    RoleUse.CONTROL_PLANE: "Further control planes",
    RoleUse.WORKER: "Workers",
    RoleUse.JOIN: "Nodes that join",
}
_PRINTED_BY: Final = {
    RoleUse.INIT: "ocne cluster start -c byo.yaml",
    RoleUse.CONTROL_PLANE: "ocne cluster join -c byo.yaml -n 1",
    RoleUse.WORKER: "ocne cluster join -c byo.yaml -w 1",
}


class DeadlineState(StrEnum):
    """How urgent a deadline is; the values are shown."""

    VALID = "valid"
    SOON = "ends soon"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class DeadlineRow:
    """A secret of a file, and when it ends."""

    deadline: Deadline
    state: DeadlineState
    colour: str
    left: str

    @classmethod
    def of(cls, deadline: Deadline, now: datetime) -> Self:
        left = deadline.at - now
        minutes = int(left.total_seconds()) // 60
        shown = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        if minutes < 0 or deadline.at <= now:
            return cls(deadline, DeadlineState.ENDED, "red", "")
        if left < LIFETIMES[deadline.secret] / _SOON:
            return cls(deadline, DeadlineState.SOON, "amber", shown)
        return cls(deadline, DeadlineState.VALID, "green", shown)


@dataclass(frozen=True, slots=True)
class FactRow:
    """One fact of a file; `is_code`: a long word that is compared, not read."""

    label: str
    text: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class IgnitionRow:
    """A use of an Ignition file, or a file that hosts alone name; `status` is None if no path is declared for a use.

    `is_made_by_rollout`: it does not exist yet, and a configured command makes it.
    """

    key: str
    title: str
    printed_by: str
    status: RoleFileStatus | None
    facts: Sequence[FactRow]
    deadlines: Sequence[DeadlineRow]
    hosts: Sequence[str]
    more_hosts: int
    replace: ActionLink | None
    is_made_by_rollout: bool = False

    @property
    def is_shown(self) -> bool:
        """There is a file."""
        return self.status is not None and self.status.file is not None


@dataclass(frozen=True, slots=True)
class InstalledCombination:
    """What hosts of a role install, and how many they are; a release on another server has no page."""

    boot_media: str | None
    release: str | None
    is_remote: bool
    count: int


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role: its hosts, and what they install."""

    role: str
    hosts: Sequence[str]
    more_hosts: int
    installs: Sequence[InstalledCombination]


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The page of the cluster."""

    ignition: Sequence[IgnitionRow]
    roles: Sequence[RoleRow]
    problems: Sequence[str]

    @classmethod
    def of(
        cls, files: Sequence[RoleFileStatus], hosts: Sequence[Host], *, made: Collection[RoleUse] = (), now: datetime
    ) -> Self:
        """Show files and hosts; `made`: the uses of the files that the configured commands of a rollout make."""
        by_use = {use: file for file in files for use in file.uses}
        rows = [ignition_row(RoleUse(use), by_use.get(use), made=made, now=now) for use in TAKEN_USES]
        rows += [_own_file(file, now=now) for file in files if not set(file.uses) & set(TAKEN_USES)]
        problems = [each for file in files for each in file.problems[_is_to_come(file, made) :]]  # first: it is missing
        return cls(rows, [_role_row(role, hosts) for role in Role], list(dict.fromkeys(problems)))


def _is_to_come(file: RoleFileStatus | None, made: Collection[RoleUse]) -> bool:
    """Return whether a file does not exist yet, and commands make it for each of its uses."""
    return file is not None and file.is_missing and bool(file.uses) and all(use in made for use in file.uses)


def ignition_row(
    use: RoleUse, status: RoleFileStatus | None, *, made: Collection[RoleUse], now: datetime
) -> IgnitionRow:
    """Describe the file of a use; without `status` the hosts files name none. `made`: as in `ClusterView.of`."""
    refusal = None if status else f"the hosts files have no {KEYS_OF_USES[use]}; write its path there, then reload"
    link = ActionLink("replace", "Replace the file", f"/cluster/ignition/{use}", refusal)
    row = _row(use.value, _TITLES[use], _PRINTED_BY[use], status, link, now=now)
    return replace(row, is_made_by_rollout=_is_to_come(status, made))


def _own_file(status: RoleFileStatus, *, now: datetime) -> IgnitionRow:
    return _row(status.path.name, f"Own file of {', '.join(status.hosts[:SHOWN_HOSTS])}", "", status, None, now=now)


def _row(
    key: str, title: str, printed_by: str, status: RoleFileStatus | None, link: ActionLink | None, *, now: datetime
) -> IgnitionRow:
    facts = [*_facts(status.file)] if status and status.file else []
    deadlines = [DeadlineRow.of(each, now) for each in status.deadlines] if status else []
    hosts = status.hosts if status else ()
    more = max(0, len(hosts) - SHOWN_HOSTS)
    return IgnitionRow(key, title, printed_by, status, facts, deadlines, hosts[:SHOWN_HOSTS], more, link)


def _facts(file: RoleFile) -> Iterable[FactRow]:
    values = {
        "Endpoint": file.endpoint,
        "Virtual IP": file.virtual_ip,
        "Interface": file.interface,
        "Kubernetes": file.kubernetes_version,
        "Pod subnet": file.pod_subnet,
        "Service subnet": file.service_subnet,
        "Fetched at the first boot from": ", ".join(file.fetched_from),
    }
    facts = [FactRow(label, text) for label, text in values.items() if text]
    return [*facts, *(FactRow("CA key, SHA-256", authority, is_code=True) for authority in file.authorities)]


def _role_row(role: Role, hosts: Sequence[Host]) -> RoleRow:
    own = [host for host in hosts if host.role is role]
    counted = Counter((host.boot_media, host.release) for host in own)
    installs = [
        InstalledCombination(medium, str(release) if release else None, isinstance(release, RemoteRelease), count)
        for (medium, release), count in counted.most_common()
    ]
    names = [host.name for host in own]
    return RoleRow(role.value, names[:SHOWN_HOSTS], max(0, len(names) - SHOWN_HOSTS), installs)

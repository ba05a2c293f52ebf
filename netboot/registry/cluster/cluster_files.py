"""Reads the Ignition files that roles and hosts name, and checks that each host gets one for its use.

An Ignition file that Ignition would refuse, or one for another use, is a fault. One that is missing or cannot be read
is none: its hosts are loaded, but are not ready. No content of it is kept or shown, because it contains cluster keys.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netboot.ignition.check import read_ignition
from netboot.ignition.role_file import role_file
from netboot.model.host.host import HostName, Role
from netboot.model.host.role_ignition import RoleFile, RoleUse
from netboot.registry.host_sections import HostSection, IgnitionPaths, SharedValues
from netboot.registry.merge import Merged, Origin
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.files import read_bytes

Hosts = Mapping[HostName, Merged[HostSection]]
Contents = Mapping[Path, bytes | None]  # by path, the bytes that are read instead of the file; None: it is missing

_SHOWN_PROBLEMS: Final = 10  # of one Ignition file
_PRINTED: Final = {
    RoleUse.INIT: "give it what `ocne cluster start` printed",
    RoleUse.CONTROL_PLANE: "give it what `ocne cluster join … -n 1` printed",
    RoleUse.WORKER: "give it what `ocne cluster join … -w 1` printed",
    RoleUse.JOIN: "give it what `ocne cluster join` printed",
}
_ROLES: Final = {RoleUse.CONTROL_PLANE: Role.CONTROL_PLANE, RoleUse.WORKER: Role.WORKER}


@dataclass(frozen=True, slots=True)
class NamedRoleFile:
    """An Ignition file without problems, and the place that names it first."""

    path: Path
    named: Origin
    file: RoleFile


NamedFiles = Mapping[Path, NamedRoleFile]


def read_cluster_files(
    roles: Iterable[Merged[SharedValues]], hosts: Hosts, *, contents: Contents, faults: Faults
) -> NamedFiles:
    """Read and verify every Ignition file that a role or host names."""
    named: dict[Path, Origin] = {}
    every: list[Merged[Any]] = [*roles, *hosts.values()]
    for each in every:
        for key, path in (("init", each.values.ignition.init), ("join", each.values.ignition.join)):
            if path is not None and path not in named:
                named[path] = each.origins("ignition", key)[0]
    read = {path: _read(path, origin, contents=contents, faults=faults) for path, origin in named.items()}
    return {path: NamedRoleFile(path, named[path], file) for path, file in read.items() if file is not None}


def _read(path: Path, named: Origin, *, contents: Contents, faults: Faults) -> RoleFile | None:
    content = contents[path] if path in contents else read_bytes(path, Faults(), place=named.place)
    if content is None:
        return None
    file = read_ignition(content)
    for problem in file.problems[:_SHOWN_PROBLEMS]:
        faults.add(named.place, named.where, what=problem.in_file(path), cure=problem.cure)
    more = len(file.problems) - _SHOWN_PROBLEMS
    if more > 0:
        what = f"{path} has {more} more problems"
        faults.add(named.place, named.where, what=what, cure="correct the first ones and check again")
    return None if file.problems else role_file(file)


def check_uses(files: NamedFiles, hosts: Hosts, *, init: str | None, faults: Faults) -> None:
    """Refuse a file that starts a cluster for a host that joins, and the reverse, and one of another role."""
    reported: set[Origin] = set()
    for name, host in hosts.items():
        key, ignition = "init" if name == init else "join", host.values.ignition
        path = ignition.init if name == init else ignition.join
        use = files[path].file.use if path is not None and path in files else None
        refused = None if use is None else _refused_use(use, name, host.values.role, is_init=name == init)
        if refused is None:
            continue
        origin = host.origins("ignition", key)[0]
        if origin not in reported:
            reported.add(origin)
            what, needed = refused
            faults.add(origin.place, origin.where, what=f"{path} {what}", cure=_PRINTED[needed])


def _refused_use(use: RoleUse, name: HostName, role: Role | None, *, is_init: bool) -> tuple[str, RoleUse] | None:
    """Return why a host cannot boot with a file of this use, and the use that it needs."""
    if use is RoleUse.INIT and not is_init:
        return f"starts a cluster (ACTION=init), and {name} would start a second one", RoleUse.JOIN
    if use is not RoleUse.INIT and is_init:
        return f"joins a cluster (ACTION=join), and {name} is to start it", RoleUse.INIT
    made_for = _ROLES.get(use)
    if made_for is None or role is None or made_for is role:
        return None
    return f"joins a {made_for}, and {name} is a {role}", RoleUse(role.value)


def files_of_uses(
    roles: Mapping[Role, Merged[SharedValues]], hosts: Hosts, *, init: str | None
) -> Iterator[tuple[RoleUse, Path]]:
    """Yield the path that each use has: the role's, for the first node its own if it names one."""
    starter = hosts.get(HostName(init)) if init is not None else None
    control_plane, worker = (roles[role].values.ignition if role in roles else IgnitionPaths() for role in Role)
    first = starter.values.ignition if starter is not None else control_plane
    for use, path in (
        (RoleUse.INIT, first.init),
        (RoleUse.CONTROL_PLANE, control_plane.join),
        (RoleUse.WORKER, worker.join),
    ):
        if path is not None:
            yield use, path

"""Shows and replaces the Ignition files of a cluster's roles. Reads and writes files: call it in a thread."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.boot.documents.role_files import RoleFileRead, RoleFiles
from netboot.errors import Problem, RoleFileError
from netboot.ignition.check import read_ignition
from netboot.ignition.json_text import CURE as NOT_A_FILE_OF_OCNE
from netboot.ignition.problem import IgnitionProblem
from netboot.ignition.role_file import KUBEADM, role_file
from netboot.model.clock import RandomBytes
from netboot.model.host.host import HostSet
from netboot.model.host.role_ignition import Deadline, RoleFile, RoleUse
from netboot.operate.cluster.ocne_output import WHOLE_FILE, standard_error_in
from netboot.operate.cluster.taking import put_aside, put_in_place, record_for
from netboot.yamlfile.files import SIZE_LIMIT_BYTES

LARGEST_BYTES: Final = SIZE_LIMIT_BYTES  # of a file that is compared with the cluster, and served

Contents = Mapping[Path, bytes | None]
FaultsWith = Callable[[Contents], Sequence[Problem]]  # of the hosts files, with other contents of Ignition files

TAKEN_USES: Final = tuple(use.value for use in RoleUse if use is not RoleUse.JOIN)

_SHOWN_PROBLEMS: Final = 10
KEYS_OF_USES: Final = {
    RoleUse.INIT: "roles.control-plane.ignition.init",
    RoleUse.CONTROL_PLANE: "roles.control-plane.ignition.join",
    RoleUse.WORKER: "roles.worker.ignition.join",
}
_FOR: Final = {
    RoleUse.INIT: "the first node (ocne cluster start)",
    RoleUse.CONTROL_PLANE: "a further control plane (ocne cluster join -n 1)",
    RoleUse.WORKER: "a worker (ocne cluster join -w 1)",
}


@dataclass(frozen=True, slots=True)
class IgnitionRequest:
    """A file to take for a use. `is_renewed`: its secrets were given to the cluster again, so they last anew.

    `is_new_cluster`: the files of another cluster are put aside. `since`: its secrets were given to the cluster not
    earlier; None: now.
    """

    use: RoleUse
    content: bytes = field(repr=False)
    is_renewed: bool = False
    is_new_cluster: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RoleFileStatus:
    """One file: what it is for, what it has, until when, and what is wrong. `file` is None if it cannot be read.

    `is_missing`: it does not exist.
    """

    path: Path
    uses: Sequence[str]
    hosts: Sequence[str]
    file: RoleFile | None
    taken_at: datetime | None
    is_estimate: bool
    deadlines: Sequence[Deadline]
    problems: Sequence[str]
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class TakenIgnition:
    """The file that was taken, the files put aside, and why the daemon did not read the hosts files again."""

    file: RoleFileStatus
    put_aside: Sequence[Path]
    kept: str | None = None


class RoleFileUses:
    def __init__(
        self,
        hosts: Callable[[], HostSet],
        faults_with: FaultsWith,
        *,
        now: Callable[[], datetime],
        random_bytes: RandomBytes,
    ) -> None:
        self._hosts = hosts
        self._faults_with = faults_with
        self._now = now
        self._random_bytes = random_bytes
        self._taking = threading.Lock()  # of two at once, the second is compared with the first

    def all(self) -> list[RoleFileStatus]:
        """List the files that roles and hosts name."""
        faults = self._faults_with({})
        return [self._status(path, faults) for path in self._paths()]

    def take(self, request: IgnitionRequest) -> TakenIgnition:
        """Verify a file and put it in the place that its role names; raise RoleFileError with the reason and cure."""
        try:
            with self._taking:
                return self._take(request)
        except RoleFileError as error:
            raise RoleFileError(f"cannot take the Ignition file for {request.use}: {error}") from error

    def of_another_cluster(self, request: IgnitionRequest) -> list[Path]:
        """List the files in place that are of another cluster than a file to take; raise RoleFileError if it is bad."""
        try:
            file = _verified(request)
        except RoleFileError as error:
            raise RoleFileError(f"cannot take the Ignition file for {request.use}: {error}") from error
        return [path for path in self._paths() if _is_of_another(file, path)]

    def _take(self, request: IgnitionRequest) -> TakenIgnition:
        path = self._place_of(request.use)
        file = _verified(request)
        others = [other for other in self._paths() if other != path and request.is_new_cluster]
        aside = [other for other in others if _is_of_another(file, other)]
        self._refuse_faults(path, request, aside)
        record = record_for(
            path,
            request.content,
            file,
            before=_read(path),
            now=request.since or self._now(),
            is_renewed=request.is_renewed,
            random_bytes=self._random_bytes,
        )
        with put_aside(aside):
            put_in_place(path, request.content, record)
        return TakenIgnition(self._status(path, ()), aside)

    def _refuse_faults(self, path: Path, request: IgnitionRequest, aside: Sequence[Path]) -> None:
        """Raise RoleFileError if the hosts files would have a fault that concerns the new file."""
        contents: dict[Path, bytes | None] = {path: request.content, **dict.fromkeys(aside)}
        faults = _concerning(path, self._faults_with(contents))
        if faults:
            cure = "; if a new cluster begins, add --new-cluster" if request.use is RoleUse.INIT else ""
            raise RoleFileError("\n".join(map(str, faults)) + f"\nnothing was changed{cure}")

    def _paths(self) -> list[Path]:
        hosts = self._hosts()
        own = [host.ignition for host in hosts if host.ignition is not None]
        return list(dict.fromkeys([*hosts.cluster.ignition.values(), *own]))

    def _place_of(self, use: RoleUse) -> Path:
        path = self._hosts().cluster.ignition.get(use)
        if path is None:
            cure = f"write its path to the hosts file, as {KEYS_OF_USES[use]}: ign/{use}.ign, then netboot reload"
            raise RoleFileError(f"the hosts files have no {KEYS_OF_USES[use]}; {cure}")
        return path

    def _status(self, path: Path, faults: Sequence[Problem]) -> RoleFileStatus:
        hosts = self._hosts()
        uses = [use.value for use, named in hosts.cluster.ignition.items() if named == path]
        users = [host.name for host in hosts if host.ignition == path]
        problems = [str(fault) for fault in _concerning(path, faults)]
        try:
            read = RoleFiles().read(path)
        except OSError as error:
            problems.insert(0, f"{path} cannot be read ({error.strerror})")
            is_missing = isinstance(error, FileNotFoundError)
            return RoleFileStatus(path, uses, users, None, None, False, (), problems, is_missing)
        ended = read.fault(self._now())
        if ended is not None:
            problems.append(ended)
        return RoleFileStatus(path, uses, users, read.file, read.taken_at, read.is_estimate, read.deadlines, problems)


def _verified(request: IgnitionRequest) -> RoleFile:
    """Return what a file has; raise RoleFileError if it is not what `ocne` prints for this use."""
    if len(request.content) > LARGEST_BYTES:
        raise RoleFileError(f"it is larger than {LARGEST_BYTES >> 20} MiB; {_give(request.use)}")
    ignition = read_ignition(request.content)
    if ignition.problems:
        raise RoleFileError(standard_error_in(request.content) or "\n".join(_refused(ignition.problems)))
    file = role_file(ignition)
    if file.use in (None, RoleUse.JOIN):
        raise RoleFileError(f"it has no {KUBEADM}, so it is not a file of ocne; {_give(request.use)}")
    if file.use is not request.use:
        raise RoleFileError(f"it is for {_FOR[file.use]}, not for {_FOR[request.use]}; {_give(request.use)}")
    return file


def _refused(problems: Sequence[IgnitionProblem]) -> Iterator[str]:
    yield from (f"{each.in_file('FILE')}; {each.cure}" for each in problems[:_SHOWN_PROBLEMS])
    if problems[0].cure == NOT_A_FILE_OF_OCNE:
        yield WHOLE_FILE


def _give(use: RoleUse) -> str:
    return f"give the standard output of ocne for {_FOR[use]}"


def _concerning(path: Path, faults: Sequence[Problem]) -> list[Problem]:
    """List the faults that name a file."""
    return [fault for fault in faults if any(f"{path}{end}" in f"{fault.what} " for end in " :)")]


def _is_of_another(file: RoleFile, other: Path) -> bool:
    read = _read(other)
    return read is not None and not set(read.file.authorities) & set(file.authorities)


def _read(path: Path) -> RoleFileRead | None:
    try:
        return RoleFiles().read(path)
    except OSError:
        return None

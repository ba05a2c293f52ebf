"""Checks of the roles' Ignition files: readable, accepted by Ignition, and not past their deadlines."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.boot.documents.role_files import RoleFileRead, RoleFiles
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.host.host import Host
from netboot.model.host.role_ignition import LIFETIMES
from netboot.model.words import shown_left

ROLE_FILES: Final = "content.role_files"
_SOON: Final = 4  # the last quarter of a secret's life: 6 h of a bootstrap token, 30 minutes of a certificate key


def check_role_files(hosts: Iterable[Host], now: datetime) -> Iterator[DoctorFinding]:
    """Find files that are not served, and those that will not be served soon, each once for all its hosts."""
    users: dict[Path, list[Host]] = {}
    for host in hosts:
        if host.ignition is not None:
            users.setdefault(host.ignition, []).append(host)
    files = RoleFiles()
    for path, of_file in users.items():
        yield from _judged(files.read, path, _used_by(of_file), now)


def _used_by(hosts: list[Host]) -> str:
    """Name the users of a file, the first ten."""
    return f"used by {', '.join(host.name for host in hosts[:10])}{', …' if len(hosts) > 10 else ''}"


def _judged(
    read_file: Callable[[Path], RoleFileRead], path: Path, users: str, now: datetime
) -> Iterator[DoctorFinding]:
    try:
        read = read_file(path)
    except OSError as error:
        cure = "netboot cluster ignition set ROLE FILE, or correct roles in the hosts file"
        yield DoctorFinding(ROLE_FILES, Level.PROBLEM, f"{path} cannot be read: {error.strerror}", (users,), cure)
        return
    for problem in read.ignition.problems[:1]:
        sentence = f"{problem.in_file(path)}, so Ignition refuses it"
        yield DoctorFinding(ROLE_FILES, Level.PROBLEM, sentence, (users,), problem.cure)
    if (ended := read.fault(now)) is not None:
        what, _, cure = ended.partition("; ")
        yield DoctorFinding(ROLE_FILES, Level.PROBLEM, what, (users,), cure)
        return
    for deadline in read.deadlines:
        left_s = (deadline.at - now).total_seconds()
        if left_s < LIFETIMES[deadline.secret].total_seconds() / _SOON:
            sentence = (
                f"the {deadline.secret} in {path} ends in {shown_left(left_s)}, at {deadline.at:%Y-%m-%d %H:%M} UTC"
            )
            _, _, cure = deadline.sentence(path, read.file.use).partition("; ")
            counted = "counted from the file's modification time" if deadline.is_estimate else "counted from its taking"
            yield DoctorFinding(ROLE_FILES, Level.WARNING, sentence, (users, counted), f"install before; or {cure}")

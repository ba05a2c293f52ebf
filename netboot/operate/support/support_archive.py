"""Writes a support archive: a gzip of tar (POSIX pax) whose files have one owner and the time of the archive.

Files are sorted by name, then README.txt and, if there are faults, errors.txt. Equal files make equal bytes.
"""

import gzip
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Final

from netboot.model.host.mac import Mac
from netboot.operate.support.support_parts import Gathered, SupportFile, SupportPart

MOST_FILE_BYTES: Final = 16 << 20  # of one file; the rest is left out
MOST_BYTES: Final = 64 << 20  # of all files together, before they are packed
README: Final = "README.txt"
FAULTS: Final = "errors.txt"
_SHORTEST: Final = 8  # bytes; a shorter value would be hidden where it is part of another word
_HIDDEN: Final = b"*"
_OWNER: Final = "netboot"


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """What an archive is of. `subject`: a host, the MAC of an unregistered machine, or None."""

    subject: str | None
    at: datetime
    version: str
    secrets: Sequence[str] = field(default=(), repr=False)  # values that are hidden wherever a file has them

    @property
    def name(self) -> str:
        """The name of the archive, without a suffix, and of the directory in it."""
        subject = self.subject or "appliance"
        return f"netboot-support-{subject.replace(':', '-')}-{self.at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True, slots=True)
class SupportArchive:
    """An archive that is written; `file` is at its begin, and is deleted when it is closed."""

    name: str  # of a file for it
    size_bytes: int
    file: IO[bytes]


def write_archive(file: IO[bytes], head: ArchiveHead, parts: Sequence[SupportPart], found: Gathered) -> None:
    """Write an archive of what was found of its parts. Blocks."""
    moment = int(head.at.timestamp())
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        writer = _Writer(archive, head, moment)
        faults = [*found.faults]
        for each in sorted(found.files, key=lambda each: each.name):
            writer.add_file(each, faults)
        writer.add(README, _readme(head, parts, writer.sizes, has_faults=bool(faults)).encode())
        if faults:
            writer.add(FAULTS, "".join(f"{fault}\n" for fault in faults).encode("utf-8", "replace"))


class _Writer:
    def __init__(self, archive: tarfile.TarFile, head: ArchiveHead, moment: int) -> None:
        self._archive, self._head, self._moment = archive, head, moment
        self._secrets = [value.encode() for value in head.secrets if len(value.encode()) >= _SHORTEST]
        self.sizes: dict[str, int] = {}

    def add_file(self, file: SupportFile, faults: list[str]) -> None:
        left = MOST_BYTES - sum(self.sizes.values())
        try:
            content = file.read()
        except OSError as error:
            faults.append(f"{file.name}: is missing: cannot read it: {error.strerror or error}")
            return
        most = min(MOST_FILE_BYTES, left)
        if len(content) > most:
            faults.append(f"{file.name}: is cut: {most} of its {len(content)} bytes are kept")
        self.add(file.name, content[:most])

    def add(self, name: str, content: bytes) -> None:
        for secret in self._secrets:
            content = content.replace(secret, _HIDDEN * len(secret))  # of equal length: a capture stays one
        member = tarfile.TarInfo(f"{self._head.name}/{name}")
        member.size, member.mtime, member.mode = len(content), self._moment, 0o600
        member.uname = member.gname = _OWNER
        self._archive.addfile(member, io.BytesIO(content))
        self.sizes[name] = len(content)


def _readme(head: ArchiveHead, parts: Sequence[SupportPart], sizes: dict[str, int], *, has_faults: bool) -> str:
    subject = f"the machine {head.subject}" if head.subject and _is_mac(head.subject) else f"the host {head.subject}"
    of = f"{subject} and this appliance" if head.subject else "this appliance"
    about = {part.name: part.about for part in parts} | {FAULTS: "what is missing, and why"}
    names = [*sizes, *([FAULTS] if has_faults else [])]
    lines = [
        f"Support archive of {of}, made by netboot {head.version} at {head.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.",
        "",
        "It has no token, password, key or Ignition file. Values that may be secrets are `hidden`, or asterisks.",
        "Read before you send it: it has names, addresses, serial numbers and what machines logged.",
        *([f"Parts are missing or cut: see {FAULTS}."] if has_faults else []),
        "",
        *(f"{sizes.get(name, ''):>10}  {name:<40}  {_about(name, about)}".rstrip() for name in sorted(names)),
        "",
    ]
    return "\n".join(lines)


def _about(name: str, about: dict[str, str]) -> str:
    return next(
        (text for part, text in about.items() if name == part or (part[-1] == "/" and name.startswith(part))), ""
    )


def _is_mac(name: str) -> bool:
    try:
        Mac.parse(name)
    except ValueError:
        return False
    return True

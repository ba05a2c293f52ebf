"""Appends lines to the logs of boots, and deletes the oldest logs beyond the disk budget. Blocks: one thread at a time.

A log has `LONGEST_LOG_BYTES` at most; one more line then states that the rest is not kept. To keep the budget, logs of
unregistered machines are deleted first: any machine on the LAN can fill them, under many MACs. The log of a host's
running boot is never deleted: if all that is left belongs to such boots, further lines are dropped.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from netboot.boot_records.line_drop import LineDrop
from netboot.boot_records.log_files import LogFiles, Owner, StoredBoot
from netboot.model.boot.log_line import LogLine, Severity

LONGEST_LOG_BYTES: Final = 16 << 20
CONTINUED: Final = timedelta(hours=2)  # after a restart of the daemon, a log that was written so recently is continued
RUNNING: Final = timedelta(hours=1)  # a boot that sent no line for so long has ended
MACHINES: Final = 8192  # whose last log is in memory
_BLOCK_BYTES: Final = 4096
OF_NETBOOT: Final = "netboot"  # the program of our own lines


class ReceivedLine(NamedTuple):
    """A line, its machine, and when the boot of that began: None if that is not known, as after a restart."""

    owner: Owner
    began_at: datetime | None
    line: LogLine


class Written(NamedTuple):
    """What one batch did: lines that were dropped, and what prevents writing now."""

    dropped: Mapping[LineDrop, int]
    problem: str | None


class LogStore:
    """`used_bytes` counts the logs of all machines."""

    def __init__(self, files: LogFiles, *, budget_bytes: int, now: Callable[[], datetime]) -> None:
        self.files, self.budget_bytes = files, budget_bytes
        self.used_bytes = 0
        self._now = now
        self._current: dict[Owner, Path] = {}  # the log of each machine that was written last

    def open(self) -> None:
        """Count what the logs use, and keep the budget, which may be smaller than before; raise OSError."""
        self.files.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._count(self.files.all_boots())
        self._keep_budget()

    def write(self, batch: Iterable[ReceivedLine]) -> Written:
        """Append lines to their logs; a fault of the disk drops them."""
        dropped: Counter[LineDrop] = Counter()
        problem = None
        for (owner, began_at), group in groupby(batch, key=lambda each: each[:2]):
            lines = [each.line for each in group]
            try:
                path = self._log_of(owner, began_at, lines[0].at)
                if not self._keep_budget():
                    dropped[LineDrop.BUDGET] += len(lines)
                    problem = self._budget_problem()
                    continue
                dropped[LineDrop.BOOT_FULL] += len(lines) - self._append(path, lines)
            except OSError as error:
                dropped[LineDrop.WRITE_FAILED] += len(lines)
                what = f"cannot write the log of {owner} in {self.files.directory}"
                problem = f"{what}: {error.strerror}; see records.directory"
        self._keep_budget()
        return Written(+dropped, problem)

    def _log_of(self, owner: Owner, began_at: datetime | None, at: datetime) -> Path:
        """Return the log of a boot; without its beginning, the one that is written now or was until recently."""
        if began_at is None:
            path = self._current.get(owner)
            if path is None:
                newest = self.files.boots_of(owner)[-1:]
                is_recent = bool(newest) and at - newest[0].written_at <= CONTINUED
                path = newest[0].path if is_recent else self.files.path_of(owner, at)
        else:
            path = self.files.path_of(owner, began_at)
        self._current.pop(owner, None)
        self._current[owner] = path
        while len(self._current) > MACHINES:
            del self._current[next(iter(self._current))]
        return path

    def _append(self, path: Path, lines: Sequence[LogLine]) -> int:
        """Append what still fits; return how many lines that were."""
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            before_bytes = os.fstat(descriptor).st_size
            data, kept = _fitting(lines, LONGEST_LOG_BYTES - before_bytes)
            if before_bytes and os.pread(descriptor, 1, before_bytes - 1) != b"\n":  # the daemon was killed
                data = b"\n" + data
            try:
                _write_all(descriptor, data)
            except OSError:  # a half line would be joined with the next one
                os.ftruncate(descriptor, before_bytes)
                raise
        finally:
            os.close(descriptor)
        self.used_bytes += on_disk(before_bytes + len(data)) - on_disk(before_bytes)
        return kept

    def _keep_budget(self) -> bool:
        """Delete logs of unregistered machines, then the oldest ones, until the others fit; return whether they do."""
        if self.used_bytes < self.budget_bytes:
            return True
        running, now = set(self._current.values()), self._now()
        boots = self.files.all_boots()
        self._count(boots)  # an operator may have deleted some
        for boot in sorted(boots, key=lambda boot: not boot.is_of_unregistered):
            if self.used_bytes < self.budget_bytes:
                break
            if boot.path in running and now - boot.written_at < RUNNING and not boot.is_of_unregistered:
                continue
            self._delete(boot)
        return self.used_bytes < self.budget_bytes

    def _count(self, boots: Iterable[StoredBoot]) -> None:
        self.used_bytes = sum(on_disk(boot.size_bytes) for boot in boots)

    def _delete(self, boot: StoredBoot) -> None:
        boot.path.unlink(missing_ok=True)
        with suppress(OSError):  # it has other logs
            boot.path.parent.rmdir()
        self.used_bytes -= on_disk(boot.size_bytes)

    def _budget_problem(self) -> str:
        return (
            f"the logs of running boots fill records.budget ({self.budget_bytes} bytes), and no more lines are kept; "
            "set records.budget to more"
        )


def on_disk(size_bytes: int) -> int:
    """Return what a file takes of the budget: whole blocks, so that the number of files is bounded."""
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


def _fitting(lines: Sequence[LogLine], left_bytes: int) -> tuple[bytes, int]:
    """Return the lines that begin before the limit, and their number; after the last one a line that states the end."""
    parts: list[bytes] = []
    for line in lines:
        if left_bytes <= 0:
            break
        part = line.to_json().encode("utf-8", "replace") + b"\n"
        left_bytes -= len(part)
        parts.append(part)
    kept = len(parts)
    if kept and left_bytes <= 0:
        text = f"this log has {LONGEST_LOG_BYTES >> 20} MiB, and the rest of this boot is not kept"
        end = replace(lines[kept - 1], severity=Severity.WARNING, program=OF_NETBOOT, text=text)
        parts.append(end.to_json().encode() + b"\n")
    return b"".join(parts), kept


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

"""Appends lines to the logs of boots. Blocks: one thread at a time.

A log has `LONGEST_LOG_BYTES` at most; one more line then states that the rest is not kept.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from netboot.boot_records.budgeted_batch import BudgetedBatch, Written
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.record_files import Owner, RecordKind, StoredRecord, append, opened
from netboot.model.boot.log_line import LogLine, Severity

LONGEST_LOG_BYTES: Final = 16 << 20
READ_AT_ONCE_BYTES: Final = 256 * 1024
OF_NETBOOT: Final = "netboot"  # the program of our own lines


class ReceivedLine(NamedTuple):
    """A line, its machine, and when the boot of that began: None if that is not known, as after a restart."""

    owner: Owner
    began_at: datetime | None
    line: LogLine


class LogStore:
    def __init__(self, budget: DiskBudget) -> None:
        self.budget = budget

    def write(self, batch: Iterable[ReceivedLine]) -> Written:
        """Append lines to their logs; a fault of the disk drops them."""
        writes = BudgetedBatch(self.budget, file="log", items="lines")
        for (owner, began_at), group in groupby(batch, key=lambda each: each[:2]):
            lines = [each.line for each in group]
            with writes.writing(owner, len(lines)):
                path = self.budget.path_of(owner, began_at, RecordKind.LOG)
                path = path or self.budget.begin(owner, lines[0].at, RecordKind.LOG)
                if writes.admit(len(lines)):
                    writes.dropped[RecordDrop.BOOT_FULL] += len(lines) - self._append(owner, path, lines)
        return writes.written()

    def _append(self, owner: Owner, path: Path, lines: Sequence[LogLine]) -> int:
        """Append what still fits; return how many lines that were."""
        with opened(path) as descriptor:
            before_bytes = os.fstat(descriptor).st_size
            data, kept = _fitting(lines, LONGEST_LOG_BYTES - before_bytes)
            if before_bytes and os.pread(descriptor, 1, before_bytes - 1) != b"\n":  # the daemon was killed
                data = b"\n" + data
            append(descriptor, data, size_bytes=before_bytes)  # a half line would be joined with the next one
        self.budget.note_size(owner, RecordKind.LOG, before=before_bytes, after=before_bytes + len(data))
        return kept


def read_log(record: StoredRecord, offset: int) -> tuple[list[LogLine], int]:
    """Read lines from an offset on, and return the offset of the next one; no lines: there are none yet.

    A file that was deleted to keep the budget has none.
    """
    try:
        with record.path.open("rb") as file:
            file.seek(offset)
            data = file.read(READ_AT_ONCE_BYTES)
    except FileNotFoundError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    found = (LogLine.of_json(line.decode("utf-8", "replace")) for line in whole.splitlines())
    return [line for line in found if line is not None], offset + len(whole)


def read_tail(record: StoredRecord, most_lines: int) -> tuple[list[LogLine], int, bool]:
    """Read the last lines; return them, the offset behind them, and whether there are earlier ones.

    At most `READ_AT_ONCE_BYTES` are read.
    """
    try:
        size_bytes = record.path.stat().st_size
    except FileNotFoundError:
        return [], 0, False
    begin = max(0, size_bytes - READ_AT_ONCE_BYTES)
    lines, offset = read_log(record, begin)  # the rest of a line that was cut is none
    return lines[-most_lines:], offset, begin > 0 or len(lines) > most_lines


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

"""Finds and shows the log of a machine's boot, with and without a running daemon; only with one it is followed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netboot.boot_records.log_store import read_log, read_tail
from netboot.boot_records.record_files import NoRecordError, Owner, RecordFiles, RecordKind, StoredRecord, of_boot
from netboot.boot_records.record_writer import RecordWriter
from netboot.model.boot.log_line import LogLine

_LOG: Final = RecordKind.LOG


class NoLogError(NoRecordError):
    """No log of this machine or boot is kept, or logs are not received."""

    code = "log-unknown"


@dataclass(frozen=True, slots=True)
class LoggedBoot:
    """A boot that has a log: its number among the kept ones, and when the next one began."""

    machine: str
    number: int  # the oldest is 1
    boots: int
    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogTail:
    """The last lines of a boot's log. `offset`: of the next line; `is_cut`: there are earlier ones."""

    boot: LoggedBoot
    lines: Sequence[LogLine]
    offset: int
    is_cut: bool


@dataclass(frozen=True, slots=True)
class FoundLog:
    """A machine, and the boot whose log is shown; None if it has none yet."""

    owner: Owner
    boot: StoredRecord | None


class BootLogs:
    def __init__(
        self, files: RecordFiles, known: Callable[[str], Awaitable[Owner]], writer: RecordWriter | None = None
    ) -> None:
        """`known` finds a host by name or a machine by MAC, else raises UnknownHostError. `writer`: of a daemon."""
        self._files, self._known, self._writer = files, known, writer

    @property
    def can_follow(self) -> bool:
        """Return whether logs are received, so that later lines may come."""
        return self._writer is not None

    async def find(self, name: str, *, boot: int = 0, follow: bool = False) -> FoundLog:
        """Find the log of a machine's boot: 0 is the last one, -1 the one before, 1 the oldest, as in journalctl(1).

        Raises UnknownHostError, and NoLogError; a log that is followed may begin later.
        """
        owner = await self._known(name)
        if follow and self._writer is None:
            raise NoLogError(
                "no log can be followed: no daemon runs, or logs.listen is empty; start netboot, or see logs.listen"
            )
        boots = await asyncio.to_thread(self._files.of, owner, _LOG)
        if not boots and follow and boot == 0:
            return FoundLog(owner, None)
        found = of_boot(boots, boot)
        if found is None:
            kept = f"it has the logs of {len(boots)} boots" if boots else "see logs.listen"
            what = f"boot {boot} of {name}" if boots else name
            raise NoLogError(f"no log of {what} is kept; {kept}")
        return FoundLog(owner, found)

    async def began(self, name: str) -> list[datetime]:
        """Return when each boot with a log began, the oldest first, which is number 1; raise UnknownHostError."""
        return [each.began_at for each in await asyncio.to_thread(self._files.of, await self._known(name), _LOG)]

    async def tail(self, name: str, *, boot: int = 0, most_lines: int) -> LogTail:
        """Read the last lines of a boot's log; raise UnknownHostError, NoLogError."""
        found = await self.find(name, boot=boot)
        assert found.boot is not None
        lines, offset, is_cut = await asyncio.to_thread(read_tail, found.boot, most_lines)
        return LogTail(await self._shown(found.owner, found.boot), lines, offset, is_cut)

    async def show(
        self, name: str, *, boot: int = 0, follow: bool = False
    ) -> AsyncGenerator[LoggedBoot | LogLine | None, None]:
        """Find the log of a machine's boot, and yield it as `lines` does."""
        async with aclosing(self.lines(await self.find(name, boot=boot, follow=follow), follow=follow)) as lines:
            async for each in lines:
                yield each

    async def lines(
        self, found: FoundLog, *, follow: bool = False, offset: int = 0
    ) -> AsyncGenerator[LoggedBoot | LogLine | None, None]:
        """Yield the boot, then its lines from an offset on; with `follow`, also later lines and boots.

        Without a line there is None each second.
        """
        if follow and self._writer is not None:
            async with aclosing(self._writer.follow(found.owner, found.boot, offset=offset)) as each_line:
                async for each in each_line:
                    yield await self._shown(found.owner, each) if isinstance(each, StoredRecord) else each
        elif found.boot is not None:
            yield await self._shown(found.owner, found.boot)
            before = -1
            while offset > before:
                before = offset
                lines, offset = await asyncio.to_thread(read_log, found.boot, before)
                for line in lines:
                    yield line

    async def _shown(self, owner: Owner, boot: StoredRecord) -> LoggedBoot:
        boots = await asyncio.to_thread(self._files.of, owner, _LOG)
        older = sum(each.began_at <= boot.began_at for each in boots)
        ended_at = next((each.began_at for each in boots if each.began_at > boot.began_at), None)
        return LoggedBoot(owner, older, len(boots), boot.began_at, ended_at)

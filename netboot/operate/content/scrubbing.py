"""The scrub: verifies all served content again and again, slowly; takes what is damaged out of service, and repairs it.

A damaged file is withheld before anything else; then other content of this appliance is searched for a sound one. Each
change of the content verifies what is withheld again, so that a repair by a command is in service at once.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from netboot.content.images.image_store import ImageStore
from netboot.content.images.image_walk import images_with
from netboot.content.library.disk import file_status
from netboot.content.library.library import Library
from netboot.content.scrub.local_repair import repair_locally
from netboot.content.scrub.scrub_units import ScrubUnit, scrub_units
from netboot.content.serving.withheld_files import IMAGES, REFS, WithheldFile, WithheldFiles
from netboot.errors import ContentError
from netboot.events.event_bus import EventBus
from netboot.model.release import EntryKind, EntryName
from netboot.operate.content.scrub_process import ReadUnit, ScrubProcess
from netboot.operate.content.scrub_state import ScrubState
from netboot.telemetry.health import HealthPart, PartState
from netboot.telemetry.metrics import Reading

START_S: Final = 60.0  # after the start of the daemon: machines that waited for it come first
RETRY_S: Final = 300.0  # between two attempts to repair
_SAVE_S: Final = 10.0
_ATTEMPTS: Final = 3  # to read a unit whose content is replaced while it is read
_MOST_NAMED: Final = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScrubProgress:
    """How far the scrub is, as the API shows it. `total` and `done` count units of the round that runs."""

    is_enabled: bool
    is_running: bool
    began_at: datetime | None
    ended_at: datetime | None
    done: int
    total: int
    size_bytes: int
    damaged: Sequence[WithheldFile]


class Scrubbing:
    def __init__(
        self,
        library: Library,
        withheld: WithheldFiles,
        *,
        days: int,
        rate: int,
        events: EventBus,
        now: Callable[[], datetime],
        on_repair: Callable[[], object],
        rescan: Callable[[EntryName], Awaitable[object]],
    ) -> None:
        """Begin a round every `days` (0: only when requested), and read `rate` bytes per second at most (0: any).

        `on_repair` is called when a damaged delta was removed, so that it is made again; `rescan` has a release read
        again.
        """
        self._library, self._withheld = library, withheld
        self._every, self._rate = timedelta(days=days), rate
        self._events, self._now, self._on_repair, self._rescan = events, now, on_repair, rescan
        self._process = ScrubProcess()
        self._state = ScrubState.read(library.directory)
        self._units: list[ScrubUnit] = []
        self._next = 0
        self._woken = asyncio.Event()
        self._is_requested = self._is_changed = False
        self._repaired_s = self._saved_s = float("-inf")
        withheld.replace(self._state.withheld)

    def progress(self) -> ScrubProgress:
        """Return how far the round is, and what is damaged now."""
        state = self._state
        return ScrubProgress(
            bool(self._every),
            state.is_running,
            state.began_at,
            state.ended_at,
            self._next,
            len(self._units),
            state.size_bytes,
            self._withheld.all(),
        )

    def problems(self) -> list[str]:
        """List what is damaged and not served, each with its cure."""
        return _sentences(self._withheld.all())

    def damaged(self) -> Sequence[WithheldFile]:
        """List the damaged files that are not served."""
        return self._withheld.all()

    def parts(self) -> list[HealthPart]:
        """Return the health of each medium, release or image that has damaged files: the others are served."""
        owners: dict[str, list[WithheldFile]] = {}
        for file in self._withheld.all():
            owners.setdefault(file.images[0] if file.images else file.owner, []).append(file)
        return [HealthPart("content", owner, PartState.DEGRADED, _sentences(files)) for owner, files in owners.items()]

    def readings(self) -> Iterator[Reading]:
        """Count the damaged files, and give the time at which a whole round ended."""
        yield Reading("content_damaged_files", len(self._withheld))
        if self._state.ended_at is not None:
            yield Reading("content_scrubbed_timestamp_seconds", self._state.ended_at.timestamp())

    def request(self) -> ScrubProgress:
        """Begin a round now, unless one runs."""
        self._is_requested = True
        self._woken.set()
        return self.progress()

    def content_changed(self) -> None:
        """Verify again what is withheld: it may be repaired."""
        if len(self._withheld):
            self._is_changed = True
            self._woken.set()

    async def run(self) -> None:
        """Verify until cancelled. A fault of the content directory ends a round, and the next one is tried later."""
        try:
            await self._pause(START_S)
            while True:
                try:
                    await self._work()
                except (ContentError, OSError) as error:
                    log.warning("content.scrub_failed", reason=str(error))
                    await self._pause(START_S)
        finally:
            await self._process.close()
            await asyncio.to_thread(self._state.write, self._library.directory)

    async def _work(self) -> None:
        """Do what is due: repair and verify what is withheld, then the next unit of the round; else wait."""
        now_s = asyncio.get_running_loop().time()
        if len(self._withheld) and (self._is_changed or now_s - self._repaired_s > RETRY_S):
            await self._recheck()
        elif self._is_round_due():
            await self._advance()
        else:
            await self._process.close()
            await self._pause(START_S)

    def _is_round_due(self) -> bool:
        state = self._state
        if self._is_requested or (state.is_running and self._every):
            return True
        if not self._every:
            return False
        return state.ended_at is None or self._now() - (state.began_at or state.ended_at) >= self._every

    async def _advance(self) -> None:
        """Read the next unit of the round, or begin or end it."""
        if not self._units:
            self._units = await asyncio.to_thread(scrub_units, self._library, rate=self._rate)
            keys = [unit.key for unit in self._units]
            self._next = keys.index(self._state.position) + 1 if self._state.position in keys else 0
            if not self._state.is_running:
                self._next = 0
                self._state = replace(self._state, began_at=self._now(), ended_at=None, position="", size_bytes=0)
        if self._next >= len(self._units):
            self._end_round()
            return
        unit = self._units[self._next]
        found = await self._read(unit)
        self._next += 1
        self._state = replace(self._state, position=unit.key, size_bytes=self._state.size_bytes + found.size_bytes)
        await self._take_up(unit, found)
        if found.faults:
            await self._repair()
            await self._recheck()
        await self._save(is_needed=bool(found.faults))
        if self._rate and found.size_bytes and "directory" in unit.request:  # a file is paced by its reader
            await self._pause(found.size_bytes / self._rate)

    async def _read(self, unit: ScrubUnit) -> ReadUnit:
        """Read a unit as it was at the beginning of the round; if it has faults then, as it is now.

        Content that was imported anew meanwhile has other checksums, and what was removed is not damaged.
        """
        found = await self._process.read(unit.request)
        for _attempt in range(_ATTEMPTS if found.faults else 0):
            units = await asyncio.to_thread(scrub_units, self._library, rate=self._rate)
            now = next((each for each in units if each.key == unit.key), None)
            if now is None:
                return ReadUnit({}, found.size_bytes)
            if now.request == unit.request:
                break
            unit, found = now, await self._process.read(now.request)
            if not found.faults:
                break
        return found

    def _end_round(self) -> None:
        self._is_requested, self._units, self._next = False, [], 0
        self._state = replace(self._state, ended_at=self._now(), position="")
        self._saved_s = float("-inf")
        seconds = (self._now() - self._state.began_at).total_seconds() if self._state.began_at else 0.0
        data = {"bytes": self._state.size_bytes, "seconds": round(seconds), "damaged": len(self._withheld)}
        self._events.emit("content.scrubbed", data)

    async def _recheck(self) -> None:
        """Repair what is withheld if that was not tried a moment ago, and verify it again."""
        was_changed, self._is_changed = self._is_changed, False
        if not was_changed and asyncio.get_running_loop().time() - self._repaired_s > RETRY_S:
            await self._repair()
        units = {unit.key: unit for unit in await asyncio.to_thread(scrub_units, self._library, rate=0)}
        for key in sorted({file.unit for file in self._withheld.all()}):
            unit = units.get(key)
            if unit is None:  # its content was removed, or its delta
                await self._replace(key, [])
            else:
                await self._take_up(unit, await self._process.read(unit.request))
        await self._save(is_needed=True)

    async def _repair(self) -> None:
        """Replace what other content has; a library that is changed now is tried again later."""
        self._repaired_s = asyncio.get_running_loop().time()
        damaged = self._withheld.all()
        try:
            repaired = await asyncio.to_thread(repair_locally, self._library, damaged)
        except ContentError as error:
            log.warning("content.not_repaired", reason=str(error))
            return
        if repaired:
            self._on_repair()
        refs = [each for each in damaged if each.path in repaired and each.member.startswith(REFS)]
        for release in sorted({each.owner for each in refs}):  # which could not be read without it
            await self._rescan((EntryKind.RELEASE, release))

    async def _take_up(self, unit: ScrubUnit, found: ReadUnit) -> None:
        """Withhold the damaged files of a unit, with those of other releases that are the same file on disk."""
        if not await asyncio.to_thread(unit.root.is_dir):
            await self._replace(unit.key, [])  # it was removed while it was read
            return
        images = await asyncio.to_thread(self._images_with, unit) if found.faults and unit.kind == IMAGES else ()
        faults = _with_superblocks(found.faults) if unit.kind == EntryKind.RELEASE else found.faults
        damaged = [self._damaged(unit, member, fault, images) for member, fault in faults.items()]
        await self._replace(unit.key, damaged)
        if unit.kind == EntryKind.RELEASE and damaged:
            for other in await asyncio.to_thread(self._same_files, unit, damaged):
                await self._replace(other.unit, [other], adds=True)

    def _damaged(self, unit: ScrubUnit, member: str, fault: str, images: Sequence[str]) -> WithheldFile:
        path = os.path.realpath(unit.root / member)
        return WithheldFile(path, unit.key, unit.kind, unit.owner, member, fault, self._now(), images)

    def _images_with(self, unit: ScrubUnit) -> list[str]:
        """Name the images that have a blob; none if a repository cannot be read. Blocks."""
        try:
            return images_with(unit.owner, ImageStore(self._library.directory))
        except ContentError:
            return []

    def _same_files(self, unit: ScrubUnit, damaged: Sequence[WithheldFile]) -> list[WithheldFile]:
        """Find the damaged files that other releases have by a hard link. Blocks."""
        found = []
        for entry in self._library.entries():
            if entry.kind is not EntryKind.RELEASE or entry.alias_of is not None or entry.name == unit.owner:
                continue
            part = unit.key.split("/", 2)[2]
            for file in damaged:
                own, other = file_status(file.path), file_status(entry.path / file.member)
                if own is not None and other is not None and own.st_ino == other.st_ino:
                    path = os.path.realpath(entry.path / file.member)
                    key = f"{entry.kind}/{entry.name}/{part}"
                    found.append(replace(file, path=path, unit=key, owner=entry.name))
        return found

    async def _replace(self, key: str, files: Sequence[WithheldFile], *, adds: bool = False) -> None:
        """Withhold these files of a unit and serve its others; report what changed."""
        before = {file.path: file for file in self._withheld.all()}
        kept = {path: file for path, file in before.items() if adds or file.unit != key}
        after = kept | {file.path: replace(file, found_at=before.get(file.path, file).found_at) for file in files}
        self._withheld.replace(after.values())
        self._state = replace(self._state, withheld=tuple(self._withheld.all()))
        for path in sorted(after.keys() - before.keys()):
            file = after[path]
            data = {"content": file.owner, "file": file.member, "reason": file.fault, "cure": file.cure}
            self._events.emit("content.damaged", data, level=logging.ERROR)
        for path in sorted(before.keys() - after.keys()):
            self._events.emit("content.repaired", {"content": before[path].owner, "file": before[path].member})

    async def _save(self, *, is_needed: bool) -> None:
        now_s = asyncio.get_running_loop().time()
        if is_needed or now_s - self._saved_s > _SAVE_S:
            self._saved_s = now_s
            await asyncio.to_thread(self._state.write, self._library.directory)

    async def _pause(self, seconds: float) -> None:
        """Wait, or until something is to be done at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()


def _with_superblocks(faults: Mapping[str, str]) -> dict[str, str]:
    """Add the superblock of each delta with a damaged part: libostree goes on without both, not without a part."""
    parts = [member for member in faults if member.startswith("deltas/")]
    added = {f"{member.rpartition('/')[0]}/superblock": "a part of its delta is damaged" for member in parts}
    return {**added, **faults}


def _sentence(file: WithheldFile) -> str:
    return f"{file.title} is damaged and not served: {file.fault}; {file.cure}"


def _sentences(damaged: Sequence[WithheldFile]) -> list[str]:
    """Describe the first of the damaged files, and how many more there are."""
    more = [f"{len(damaged) - _MOST_NAMED} more damaged files are not served"] if len(damaged) > _MOST_NAMED else []
    return [_sentence(each) for each in damaged[:_MOST_NAMED]] + more

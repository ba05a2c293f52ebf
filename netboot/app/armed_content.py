"""Reports what an armed host lacks before its machine requests it: a boot medium or release that disappeared, a secret
in its Ignition file that has ended.

Reads a few small files of each every `CHECK_S`, in a thread. Changes no install: the host stays armed, its script
waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.boot.documents.host_content import content_problem
from netboot.boot.documents.role_files import RoleFiles
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.events.event_bus import EventBus
from netboot.model.host.host import Host, HostName
from netboot.model.release import EntryKind, EntryName

CHECK_S: Final = 5.0

_Content = tuple[str | None, str | None]  # boot medium and release


@dataclass(slots=True, eq=False)
class ArmedContent:
    """The armed hosts that cannot be installed now: boot medium or release is missing, or a secret has ended."""

    registry: LiveRegistry
    install_moves: InstallMoves
    _: KW_ONLY
    events: EventBus
    content: Path  # the content directory
    now: Callable[[], datetime]
    _reasons: dict[HostName, str] = field(default_factory=dict, init=False)
    _ended: dict[HostName, str] = field(default_factory=dict, init=False)
    _role_files: RoleFiles = field(default_factory=RoleFiles, init=False)

    async def run(self, rescan: Callable[[EntryName], Awaitable[object]]) -> None:
        """Check until cancelled; have each medium and release read again that was lost or found."""
        while True:
            await asyncio.sleep(CHECK_S)
            for entry in sorted(await self.check()):
                await rescan(entry)

    async def check(self) -> set[EntryName]:
        """Record an event for each armed host whose content was lost or found; return this content."""
        armed = [host for host in self.registry.now.hosts if self.install_moves.known(host.name).is_armed]
        faults = await asyncio.to_thread(self._faults, {_content_of(host) for host in armed})
        self._record_ended(armed, await asyncio.to_thread(self._ended_in, {host.ignition for host in armed}))
        before, self._reasons = self._reasons, {}
        changed: set[EntryName] = set()
        for host in armed:
            reason = faults.get(_content_of(host))
            if reason is not None:
                self._reasons[host.name] = reason
                if before.get(host.name) != reason:
                    changed |= _entries_of(host)
                    self.events.emit("install.content_lost", {"reason": reason}, host=host, level=logging.ERROR)
            elif host.name in before:
                changed |= _entries_of(host)
                self.events.emit("install.content_found", {}, host=host)
        return changed

    def _record_ended(self, armed: Iterable[Host], ended: Mapping[Path | None, str]) -> None:
        """Record an event for each armed host whose Ignition file has a secret that ended, or has none any more."""
        before, self._ended = self._ended, {host.name: ended[host.ignition] for host in armed if host.ignition in ended}
        for host in armed:
            reason = self._ended.get(host.name)
            if reason is not None and before.get(host.name) != reason:
                self.events.emit("install.secret_ended", {"reason": reason}, host=host, level=logging.ERROR)
            elif reason is None and host.name in before:
                self.events.emit("install.secret_renewed", {}, host=host)

    def _ended_in(self, paths: Iterable[Path | None]) -> dict[Path | None, str]:
        found: dict[Path | None, str] = {}
        for path in paths:
            with suppress(OSError):  # the host's script has the reason
                fault = None if path is None else self._role_files.read(path).fault(self.now())
                if fault is not None:
                    found[path] = fault
        return found

    def problems(self) -> list[str]:
        """List each reason once, with the hosts that it concerns."""
        hosts: dict[str, list[str]] = {}
        for host, reason in (*self._reasons.items(), *self._ended.items()):
            hosts.setdefault(reason, []).append(host)
        return [f"armed and not ready: {', '.join(names)}: {reason}" for reason, names in hosts.items()]

    def _faults(self, contents: Iterable[_Content]) -> dict[_Content, str]:
        problems = {content: content_problem(self.content, *content) for content in contents}
        return {content: str(problem) for content, problem in problems.items() if problem is not None}


def _content_of(host: Host) -> _Content:
    return host.boot_media, host.local_release


def _entries_of(host: Host) -> set[EntryName]:
    entries = ((EntryKind.MEDIUM, host.boot_media), (EntryKind.RELEASE, host.local_release))
    return {(kind, name) for kind, name in entries if name is not None}

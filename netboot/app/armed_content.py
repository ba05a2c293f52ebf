"""Reports what an armed host lacks before its machine requests it: a boot medium or release that disappeared, a secret
in its Ignition file that has ended. Counts all hosts that lack something, for the metrics.

Reads a few small files of each every `CHECK_S`, in a thread. Changes no install: the host stays armed, its script
waits.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.boot.documents.host_content import content_problem
from netboot.boot.documents.role_files import RoleFileRead, RoleFiles
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.errors import ContentError, DescriptorsError, raise_without_descriptor
from netboot.events.event_bus import EventBus
from netboot.model.host.host import Host, HostName
from netboot.model.release import EntryKind, EntryName
from netboot.telemetry.metrics import Reading

CHECK_S: Final = 5.0

_Content = tuple[str | None, str | None]  # boot medium and release


@dataclass(frozen=True, slots=True)
class _NamedFiles:
    """What was found of the files that hosts name."""

    faults: Mapping[_Content, ContentError] = field(default_factory=dict)  # why a medium or release cannot be served
    ended: Mapping[Path, str] = field(default_factory=dict)  # Ignition files with a secret that ended, and why
    deadlines: Mapping[tuple[str, str], datetime] = field(default_factory=dict)  # the first, by use and secret
    not_ready: Counter[bool] = field(default_factory=Counter)  # hosts that lack something; True: armed ones


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
    _files: _NamedFiles = field(default_factory=_NamedFiles, init=False)
    _role_files: RoleFiles = field(default_factory=RoleFiles, init=False)

    async def run(self, rescan: Callable[[EntryName], Awaitable[object]]) -> None:
        """Check until cancelled; have each medium and release read again that was lost or found."""
        unread = set[EntryName]()
        while True:
            await asyncio.sleep(CHECK_S)
            unread |= await self.check()
            with suppress(DescriptorsError):  # the rest is read at the next turn
                for entry in sorted(unread):
                    await rescan(entry)
                    unread.remove(entry)

    async def check(self) -> set[EntryName]:
        """Record an event for each armed host whose content was lost or found; return this content.

        Nothing is known, and nothing changes, while no descriptor is left to look at the files.
        """
        hosts = tuple(self.registry.now.hosts)
        armed = [host for host in hosts if self.install_moves.known(host.name).is_armed]
        try:
            self._files = await asyncio.to_thread(self._read, hosts, {host.name for host in armed})
        except DescriptorsError:
            return set()
        faults = self._files.faults
        is_held = self.registry.now.documents.is_held  # by a rollout: such a host needs its file later
        self._record_ended([host for host in armed if not is_held(host.name)], self._files.ended)
        before, self._reasons = self._reasons, {}
        changed: set[EntryName] = set()
        for host in armed:
            fault = faults.get(_content_of(host))
            if fault is not None:
                reason = self._reasons[host.name] = str(fault)
                if before.get(host.name) != reason:
                    changed |= _entries_of(host)
                    data = {"reason": reason, "part": fault.part}
                    self.events.emit("install.content_lost", data, host=host, level=logging.ERROR)
            elif host.name in before:
                changed |= _entries_of(host)
                self.events.emit("install.content_found", {}, host=host)
        return changed

    def readings(self) -> Iterator[Reading]:
        """Count the hosts that lack something; give the time until the first secret of each kind and use ends."""
        for is_armed in (False, True):
            yield Reading("hosts_not_ready", self._files.not_ready[is_armed], (str(is_armed).lower(),))
        now = self.now()
        for labels, at in self._files.deadlines.items():
            yield Reading("cluster_secret_remaining_seconds", (at - now).total_seconds(), labels)

    def _record_ended(self, armed: Iterable[Host], ended: Mapping[Path, str]) -> None:
        """Record an event for each armed host whose Ignition file has a secret that ended, or has none any more."""
        before = self._ended
        self._ended = {host.name: ended[host.ignition] for host in armed if host.ignition and host.ignition in ended}
        for host in armed:
            reason = self._ended.get(host.name)
            if reason is not None and before.get(host.name) != reason:
                self.events.emit("install.secret_ended", {"reason": reason}, host=host, level=logging.ERROR)
            elif reason is None and host.name in before:
                self.events.emit("install.secret_renewed", {}, host=host)

    def problems(self) -> list[str]:
        """List each reason once, with the hosts that it concerns."""
        hosts: dict[str, list[str]] = {}
        for host, reason in (*self._reasons.items(), *self._ended.items()):
            hosts.setdefault(reason, []).append(host)
        return [f"armed and not ready: {', '.join(names)}: {reason}" for reason, names in hosts.items()]

    def _read(self, hosts: Collection[Host], armed: Container[HostName]) -> _NamedFiles:
        """Look at each medium, release and Ignition file once. Blocks."""
        problems = {each: content_problem(self.content, *each) for each in {_content_of(host) for host in hosts}}
        for problem in problems.values():
            if isinstance(problem, DescriptorsError):
                raise problem
        faults = {content: problem for content, problem in problems.items() if problem is not None}
        files = self._role_files_of(hosts)
        now, deadlines = self.now(), dict[tuple[str, str], datetime]()
        for use, deadline in ((file.file.use, deadline) for file in files.values() for deadline in file.deadlines):
            labels = (use or "unknown", deadline.secret.value)
            deadlines[labels] = min(deadline.at, deadlines.get(labels, deadline.at))
        ended = {path: fault for path, file in files.items() if (fault := file.fault(now)) is not None}
        served = {path for path, file in files.items() if not file.ignition.problems} - ended.keys()
        unready = [host for host in hosts if _content_of(host) in faults or _lacks_a_value(host, served)]
        return _NamedFiles(faults, ended, deadlines, Counter(host.name in armed for host in unready))

    def _role_files_of(self, hosts: Iterable[Host]) -> dict[Path, RoleFileRead]:
        found = {}
        for path in {host.ignition for host in hosts if host.ignition is not None}:
            try:
                found[path] = self._role_files.read_if_changed(path)
            except OSError as error:  # the host's script has the reason
                raise_without_descriptor(error)
        return found


def _lacks_a_value(host: Host, served: Container[Path | None]) -> bool:
    """Return whether a host does not name something that an install needs, or names a file that is not served."""
    is_named = host.boot_media is not None and host.release is not None and host.disk is not None
    return not is_named or bool(host.faults) or host.ignition not in served


def _content_of(host: Host) -> _Content:
    return host.boot_media, host.local_release


def _entries_of(host: Host) -> set[EntryName]:
    entries = ((EntryKind.MEDIUM, host.boot_media), (EntryKind.RELEASE, host.local_release))
    return {(kind, name) for kind, name in entries if name is not None}

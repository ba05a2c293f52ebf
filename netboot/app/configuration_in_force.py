"""The configuration and the content that are served: put in force at start, replaced by a reload or a rescan.

A reload reads and verifies everything first, and then replaces it whole; of files with a fault nothing is used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from netboot.app import from_settings
from netboot.app.administration.settings_in_force import settings_in_force
from netboot.app.appliances.known_appliances import KnownAppliances
from netboot.app.armed_content import ArmedContent
from netboot.app.health.written_directories import HOSTS, IGNITION, WrittenDirectories
from netboot.app.hosts_in_force import HostsInForce, warn_of_removed
from netboot.boot.inspection_documents import InspectionDocuments
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.content.library.disk import write_fault
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.trees import Tree
from netboot.errors import ConfigError, DescriptorsError, NetbootError, Problem, StoreError
from netboot.model.host.host import HostName
from netboot.model.release import EntryKind, EntryName
from netboot.operate.appliance.appliance_facts import SettingInForce
from netboot.operate.readiness import Readiness
from netboot.operate.running_daemon import ReloadResult, RescanResult
from netboot.registry.load import Configuration, declaring_directory
from netboot.settings.settings import REMOVED, Settings
from netboot.telemetry.health import HealthPart, PartState

UNREAD_S: Final = 2.0  # between two reloads while no descriptor is left to read the files

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class ConfigurationInForce:
    """Replaces what requests are answered from. `running` are the settings of the start, `served` the hosts in force.

    A change of hosts and one of content wait for each other. `on_content` runs after each change of the content.
    """

    path: Path
    running: Settings
    served: Configuration
    registry: LiveRegistry
    content: ContentIndex
    _: KW_ONLY
    hosts: HostsInForce
    install_moves: InstallMoves
    inspections: InspectionDocuments
    armed_content: ArmedContent
    appliances: KnownAppliances
    now: Callable[[], datetime]
    on_content: Callable[[], None]
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _rejected: tuple[str, ...] = field(default=(), init=False)  # faults of the files as they are now
    _not_ready: tuple[str, ...] = field(default=(), init=False)  # missing files that they name
    _unread: str = field(default="", init=False)  # why the files could not be read by the last reload
    _has_unread: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _content_fault: str | None = field(default=None, init=False)
    _started: Configuration = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.served
        self.appliances.on_agreed = self.appliances_agreed

    def settings(self) -> list[SettingInForce]:
        """List the settings in force."""
        return settings_in_force(self._started, self.served)

    def problems(self) -> list[str]:
        """List the faults of the files, what hosts in force lack, and installs that cannot be read."""
        content = [self._content_fault] if self._content_fault else []
        unread = self.install_moves.installs.unread.values()
        return [*self._of_the_files(), *self._not_ready, *self.armed_content.problems(), *content, *unread]

    def parts(self) -> Iterator[HealthPart]:
        """Give the state of the files: one with a fault is not in force, and a host that lacks something waits."""
        yield HealthPart.of("configuration", *self._of_the_files(), at_worst=PartState.DEGRADED)
        yield HealthPart.of("hosts", *self._not_ready, *self.armed_content.problems(), at_worst=PartState.DEGRADED)

    def _of_the_files(self) -> list[str]:
        return [*([self._unread] if self._unread else []), *self._rejected]

    def written(self) -> tuple[WrittenDirectories, ...]:
        """Return the checks of the directories in which commands write hosts and the Ignition files of roles."""
        return (
            WrittenDirectories(HOSTS, "hosts", self._directories_of_hosts),
            WrittenDirectories(IGNITION, "Ignition files", self._directories_of_ignition),
        )

    def _directories_of_hosts(self) -> list[Path]:
        found = declaring_directory(self.path, self.served.settings, self.served.tree)
        return [found] if found is not None else []

    def _directories_of_ignition(self) -> list[Path]:
        return [file.parent for file in self.served.hosts.cluster.ignition.values()]

    @property
    def is_rejected(self) -> bool:
        """The files have faults, so that what was accepted before is in force."""
        return bool(self._rejected)

    def readiness(self) -> Readiness:
        """Return the checks of the hosts in force with the boot files as they are now."""
        self.registry.renew_boot_files()
        return from_settings.readiness_for(self._settings_of(self.served), self.registry.now)

    def _settings_of(self, read: Configuration) -> Settings:
        return from_settings.as_reloaded(self.running, read.settings)

    async def begin(self, read: Configuration, problems: Sequence[Problem]) -> None:
        """Report what was `read` for the start, and end the armings that no longer fit; releases are read later."""
        _warn(read)
        self._reject(read.faults)
        await self._replace_content(await asyncio.to_thread(self.content.read))
        await self._take_up(problems)
        await self.hosts.keep_accepted(read, forgets=self.appliances.agree())

    async def reload(self) -> ReloadResult:
        """Put the files in force as they are now; if they have faults, raise ConfigError and keep the previous ones.

        DescriptorsError: they could not be read, and `repeat_unread` reads them again.
        """
        async with self._changing:  # of two at once, the one that read last must be applied last
            try:
                read = await self.hosts.read(self.path)
                _warn(read)
                needs_restart = from_settings.needs_restart(self.running, read.settings)
                if read.faults:
                    await self._keep(read)
                    raise ConfigError(read.faults)
                before = self.registry.now.hosts
                armings_ended = await self.use(read)
                removals = warn_of_removed(before, read.hosts, disarmed=armings_ended)
            except (ConfigError, DescriptorsError, StoreError) as error:
                self.registry.note_unread()
                self._note_unread(error)
                if isinstance(error, ConfigError):
                    self._reject(error.problems)
                raise
            self._rejected = ()
            self._note_unread(None)
            await self.hosts.keep_accepted(read, forgets=self.appliances.agree())
        log.info("config.reloaded", hosts=len(read.hosts), needs_restart=needs_restart)
        warnings = [*map(str, read.warnings), *removals]
        return ReloadResult(len(read.hosts), needs_restart, armings_ended, self.problems(), warnings)

    async def repeat_unread(self, reload: Callable[[], Awaitable[object]]) -> None:
        """Reload again each `UNREAD_S` after a reload that no descriptor was left for, until cancelled."""
        while True:
            await self._has_unread.wait()
            await asyncio.sleep(UNREAD_S)
            with suppress(NetbootError):  # which is shown
                await reload()

    def _note_unread(self, error: NetbootError | None) -> None:
        """Note whether the last reload could not read the files, because no descriptor was left."""
        is_unread = isinstance(error, DescriptorsError)
        if is_unread and not self._unread:
            log.error("config.unread", reason=str(error))
        if not is_unread and isinstance(error, StoreError):
            return  # they are as unread as before
        self._unread = f"the files could not be read again, and are as before: {error}" if is_unread else ""
        (self._has_unread.set if is_unread else self._has_unread.clear)()

    async def use(self, read: Configuration) -> list[HostName]:
        """Put this configuration in force, read first and replaced whole; return the hosts whose arming ended."""
        settings = self._settings_of(read)
        is_held = self.registry.now.documents.is_held
        registry, problems = await asyncio.to_thread(
            from_settings.registry_for, settings, read, now=self.now, is_held=is_held
        )
        await registry.documents.content.warm(registry.hosts)
        await self._replace_content(await asyncio.to_thread(self.content.read))
        self.registry.replace(registry)
        self.served = read
        return await self._take_up(problems)

    async def rescan_content(self, entry: EntryName | None) -> RescanResult:
        """Read the content directory, or one entry of it, again, but not the configuration."""
        async with self._changing:
            trees = await asyncio.to_thread(self.content.read, entry)
            changed = {name for kind, name in trees if kind is EntryKind.RELEASE}
            before = self.registry.now
            renewed = await before.documents.content.renewed(before.hosts, changed)
            await self._replace_content(trees)
            self.registry.replace(replace(self.registry.now, documents=before.documents.with_content(renewed)))
            armings_ended = await self._check_armings()
        media, releases = self.content.names(EntryKind.MEDIUM), self.content.names(EntryKind.RELEASE)
        log.info("content.rescanned", media=len(media), releases=len(releases), armings_ended=armings_ended)
        return RescanResult(media, releases, list(self.content.problems), armings_ended)

    async def _take_up(self, problems: Sequence[Problem]) -> list[HostName]:
        """Report the problems of the registry in force; return the hosts whose arming it ends."""
        for unready in problems:
            log.error("config.not_ready", problem=str(unready))
        self._not_ready = tuple(map(str, problems))
        return await self._check_armings()

    async def _replace_content(self, trees: Mapping[EntryName, Tree | None]) -> None:
        fault = await asyncio.to_thread(write_fault, self.content.directory)
        if fault is not None and fault != self._content_fault:
            log.warning("content.not_writable", reason=fault)
        self._content_fault = fault
        self.content.replace(trees)
        for problem in self.content.problems:
            log.warning("content.left_out", reason=problem)
        self.on_content()

    async def appliances_agreed(self) -> None:
        """End the armings that no longer fit, now that the other appliances declare the same."""
        async with self._changing:
            await self._check_armings()

    async def _check_armings(self) -> list[HostName]:
        """Return the hosts whose arming ended, because it no longer fits; report those that lack their content."""
        await self.appliances.declare()
        try:
            ended = await self.install_moves.end_changed_armings()
            await self.inspections.end_unfit()
        except StoreError as error:  # each machine's script compares again, from the store
            log.error("install.armings_unchecked", reason=str(error))
            ended = []
        await self.armed_content.check()
        return ended

    async def _keep(self, rejected: Configuration) -> None:
        """Keep the hosts that were accepted last, and install none whose Ignition file is faulty now."""
        try:
            kept = await self.hosts.last_accepted(rejected, is_recording=True)
        except StoreError as error:
            log.error("config.not_kept", reason=str(error))
            return
        if kept is None:
            return  # none were accepted: the hosts of the start stay
        log.error("config.last_accepted_used", hosts=len(kept.hosts))
        await self.use(replace(kept, settings=self.served.settings, tree=self.served.tree))

    def _reject(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            log.error("config.rejected", problem=str(problem))
        self._rejected = tuple(map(str, problems))


def _warn(configuration: Configuration) -> None:
    for warning in configuration.warnings:
        if warning.where in REMOVED:
            log.warning("config.setting_removed", problem=str(warning))
        else:
            log.warning("config.value_questioned", problem=str(warning))

"""Makes support archives: of what the daemon has, or without one of what files and store have."""

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from netboot import __version__
from netboot.admin.json_views import json_view
from netboot.app import from_settings
from netboot.app.recorded_addresses import read_files
from netboot.app.support import appliance_files
from netboot.boot_records.record_files import Owner, RecordFiles
from netboot.doctor.configuration.listening_checks import links_here
from netboot.errors import ConfigError, NetbootError, StoreError, UnknownHostError
from netboot.model.clock import utc_now
from netboot.model.host.host import HostName
from netboot.model.host.host_secrets import forms_of, free_values
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install
from netboot.operate.hooks.hook_uses import HookUses
from netboot.operate.planning.host_plan import HostPlanner, offers, plan_texts
from netboot.operate.support.stored_parts import RECORDS, StoredData, newest_records, stored_parts
from netboot.operate.support.support_archive import ArchiveHead, SupportArchive, write_archive
from netboot.operate.support.support_parts import Gathered, SupportFile, SupportPart, gathered, single, text_file
from netboot.registry.load import Configuration, load_settings
from netboot.registry.load import explain as explain_host
from netboot.settings.settings import Settings
from netboot.telemetry.health import Health

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")
_OF_THE_ROLE: Final = ("ignition-role.ign", "ignition-merged.ign")
_CONFIGURATION: Final = "netboot.yaml and the hosts files: values of known keys, without comments; their faults"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunningParts:
    """What only a running daemon has."""

    status: Callable[[], Awaitable[object]]
    health: Callable[[], Awaitable[Health]]
    metrics: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class SupportArchives:
    """Makes one archive at a time. `stored` is None if the store cannot be opened, which `faults` explain."""

    path: Path  # of netboot.yaml
    stored: StoredData | None
    hooks: HookUses | None
    _: KW_ONLY
    running: RunningParts | None = None
    faults: Sequence[str] = ()
    now: Callable[[], datetime] = utc_now
    _making: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def make(self, name: str | None) -> SupportArchive:
        """Make an archive of a host, or of an unregistered machine by its MAC, or without one of the appliance alone.

        Raises UnknownHostError. A part that fails is named in the archive.
        """
        async with self._making:
            owner = await self._owner(name) if name is not None else None
            parts = list(self._parts(owner))
            found = await gathered(parts)
            found.faults[:0] = self.faults
            secrets = await self._secrets(owner, found)
            found.faults = [appliance_files.problem_shown(fault) for fault in found.faults]
            head = ArchiveHead(owner and str(owner), self.now(), __version__, secrets)
            made = await asyncio.to_thread(_written, head, parts, found)
            log.info("support.archive_made", host=head.subject, size_bytes=made.size_bytes, faults=len(found.faults))
            return made

    async def _owner(self, name: str) -> Owner:
        """Find a host or machine; if neither store nor files can be read, a valid name is enough."""
        if self.stored is not None:
            with suppress(StoreError):
                return await self.stored.administration.known_machine(name)
        mac = _mac(name)
        try:
            hosts = (await self._configuration()).hosts
        except ConfigError:
            if mac is None and not _NAME.fullmatch(name):
                raise UnknownHostError(f"{name} is neither a host nor a MAC") from None
            return mac or HostName(name)
        host = (hosts.by_mac(mac) or hosts.get(name)) if mac is not None else hosts.named(name)
        return host.name if host is not None else mac or HostName(name)

    async def _secrets(self, owner: Owner | None, found: Gathered) -> Sequence[str]:
        """Return what is hidden wherever it is: stored tokens, and the free text in the declaration of the host."""
        secrets = list[str]()
        try:
            secrets += await self.stored.tokens() if self.stored is not None else ()
        except NetbootError as error:
            found.faults.append(f"stored tokens are hidden by their form alone: {error}")
        try:
            host = (await self._configuration()).hosts.get(owner) if owner is not None else None
            secrets += [form for value in (free_values(host) if host else ()) for form in forms_of(value)]
        except NetbootError as error:
            found.faults.append(f"values of the host are hidden by their form alone: {error}")
        return secrets

    def _parts(self, owner: Owner | None) -> Iterator[SupportPart]:
        yield SupportPart("configuration/", _CONFIGURATION, self._configuration_files)
        yield from self._appliance_parts()
        if self.running is not None:
            yield single("appliance/status.json", "the daemon: problems, content, loaders", self._status, _json)
            yield single("appliance/health.json", "the state of each part", self.running.health, _json)
            yield SupportPart("appliance/metrics.txt", "counters, histograms, gauges", self._metrics)
        if self.hooks is not None:
            yield single("appliance/hooks.json", "the hooks, without paths and arguments", self.hooks.all, _json)
        if self.stored is not None:
            yield from stored_parts(self.stored, owner, _json)
        if owner is not None:
            yield SupportPart("host/records/", RECORDS, partial(self._records, owner))
        if owner is not None and not isinstance(owner, Mac):
            about = "its values, and the place that each comes from"
            yield single("host/explain.json", about, partial(self._explained, owner), _json)
            yield SupportPart("host/plan/", "what it would get if it were armed now", partial(self._plan, owner))

    def _appliance_parts(self) -> Iterator[SupportPart]:
        def listed(name: str, about: str, read: Callable[[Settings], object]) -> SupportPart:
            async def query() -> object:
                return await asyncio.to_thread(lambda: read(load_settings(self.path)))

            return single(name, about, query, _json)

        about = "netboot, Python, kernel, distribution, packages"
        yield listed("appliance/content.json", "media and releases, with digests", appliance_files.content_list)
        yield listed("appliance/loaders.json", "boot files, with digests", appliance_files.loader_list)
        yield listed("appliance/templates.json", "the site's own templates: digests", appliance_files.template_list)
        yield single("appliance/interfaces.json", "interfaces and addresses", links_here, _json)
        yield single("appliance/versions.json", about, partial(asyncio.to_thread, appliance_files.versions), _json)

    async def _configuration(self) -> Configuration:
        files = await read_files(self.path)
        return await asyncio.to_thread(files.configuration)

    async def _configuration_files(self) -> Sequence[SupportFile]:
        return await asyncio.to_thread(appliance_files.configuration_files, self.path)

    async def _status(self) -> object:
        assert self.running is not None
        status = json_view(await self.running.status())
        return {**status, "problems": [appliance_files.problem_shown(problem) for problem in status["problems"]]}

    async def _metrics(self) -> Sequence[SupportFile]:
        assert self.running is not None
        text = self.running.metrics()
        return [SupportFile("appliance/metrics.txt", lambda: text)]

    async def _records(self, owner: Owner) -> Sequence[SupportFile]:
        directory = load_settings(self.path).records.directory
        return await asyncio.to_thread(newest_records, RecordFiles(directory), owner)

    async def _explained(self, name: HostName) -> object:
        files = await read_files(self.path)
        return await asyncio.to_thread(explain_host, files.written, name, files.recorded)

    async def _plan(self, name: HostName) -> Sequence[SupportFile]:
        """Return the documents that are rendered for a host: without the role's Ignition and what it is merged to."""
        configuration = await self._configuration()
        host = configuration.hosts.named(name)
        registry, _ = await asyncio.to_thread(from_settings.registry_for, configuration.settings, configuration)
        base_url = from_settings.planned_urls(configuration.settings, await links_here())[0]
        armed = Install(host.name).armed(at=self.now(), reason="plan", attempts=1)
        planned = await HostPlanner(registry.documents, host, host.mac, base_url).plan(
            offers(host, registry.policy, armed)
        )
        texts = {file: text for _title, file, text in plan_texts(planned) if file not in _OF_THE_ROLE}
        return [text_file(f"host/plan/{file}", text) for file, text in texts.items()]


def _written(head: ArchiveHead, parts: Sequence[SupportPart], found: Gathered) -> SupportArchive:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        write_archive(file, head, parts, found)
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return SupportArchive(f"{head.name}.tar.gz", size_bytes, file)


def _json(found: object) -> str:
    return json.dumps(json_view(found), indent=1, ensure_ascii=False) + "\n"


def _mac(name: str) -> Mac | None:
    try:
        return Mac.parse(name)
    except ValueError:
        return None

"""The documents of one host: script, Kickstart, Ignition. Rendered at each request, and once before, as a check.

Has the paths of the inputs; decides nothing and changes no state. Files are read in threads.
"""

import asyncio
import errno
import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache, partial
from ipaddress import IPv4Address
from pathlib import Path

import structlog

from netboot.boot.role_files import RoleFileRead, RoleFiles
from netboot.content.assets import assets_directory
from netboot.content.library.disk import cannot_read
from netboot.content.media.boot_media import check_medium, installer_major, medium_architecture
from netboot.content.ostree.repository import check_release, read_release, release_architecture
from netboot.errors import ContentError, RenderError
from netboot.ignition.check import IgnitionFile, check_merged, read_ignition
from netboot.model import urls
from netboot.model.boot.offer import (
    InspectPlan,
    InstallPlan,
    LocalBootPlan,
    ScriptLanguage,
    ScriptPlan,
    WaitPlan,
    WaitReason,
)
from netboot.model.clock import utc_now
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import Deadline
from netboot.model.install.token import Tokens
from netboot.model.release import EntryKind, Release, RemoteRelease
from netboot.model.urls import HERE, ContentPlace
from netboot.render import boot_script, ignition, kernel_line, kickstart
from netboot.render.template_engine import Engine

log = structlog.get_logger()


class IgnitionPart(StrEnum):
    """The wrapper, and the two documents that it merges."""

    WRAPPER = "wrapper"
    ROLE = "role"
    OVERLAY = "overlay"


class IgnitionSet(dict[IgnitionPart, bytes]):
    """The exact bytes of each part: the wrapper has the hashes of the other two; and the role's file as it was read."""

    def __init__(self, parts: Mapping[IgnitionPart, bytes], role: RoleFileRead) -> None:
        super().__init__(parts)
        self.role = role


_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A host without a problem, the role's file that it has, and when the first secret of that ends."""

    host: Host
    stamp: _Stamp
    until: datetime | None


class Documents:
    """Renders documents from one set of templates and one content directory, whose releases are read once."""

    def __init__(
        self,
        engine: Engine,
        content: Path,
        *,
        place: ContentPlace = HERE,
        sets_clock: bool = False,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._sets_clock = sets_clock
        self._now = now
        self._place = place  # the URLs of what is in `content`
        self._content = content
        self._role_files = RoleFiles()
        self._releases: dict[str, Release] = {}
        self._ready: dict[tuple[HostName, ScriptLanguage], _Ready] = {}  # found without a problem
        self._reading = defaultdict[str, asyncio.Lock](asyncio.Lock)  # by name: a release is read once

    def script(self, plan: ScriptPlan, language: ScriptLanguage, *, base_url: str, is_built_in: bool = False) -> str:
        """Write a machine's script; raise RenderError. `is_built_in`: not from the operator's templates."""
        engine = _built_in_engine() if is_built_in else self._engine
        return boot_script.boot_script(engine, plan, language, base_url=base_url, place=self._place)

    def autoexec(self, mac: Mac | None, *, base_url: str) -> str:
        """Write the script that leads an iPXE to its script; the built-in one where the operator's template fails."""
        try:
            return boot_script.autoexec(self._engine, mac, base_url=base_url)
        except RenderError as error:
            log.debug("boot.autoexec_built_in", reason=str(error))  # `check` names it
            return boot_script.autoexec(_built_in_engine(), mac, base_url=base_url)

    async def kickstart(self, host: Host, tokens: Tokens, *, mac: Mac, base_url: str) -> str:
        """Write a Kickstart; raise RenderError, or ContentError for a release that is not there."""
        release = await self.release(host)
        major, virtual_ip = await self._installer_major(host), None
        with suppress(RenderError):  # the installed system's request reports it
            virtual_ip = (await asyncio.to_thread(self._read_role, host)).file.virtual_ip_of_start
        return self._kickstart(
            host, tokens, mac=mac, base_url=base_url, ref=release.ref, major=major, virtual_ip=virtual_ip
        )

    async def _installer_major(self, host: Host) -> int | None:
        if host.boot_media is None or not host.ntp:
            return None  # nothing else uses it
        with suppress(OSError):  # `check_medium` reports it
            return await asyncio.to_thread(installer_major, self._content, host.boot_media)
        return None

    def _kickstart(
        self,
        host: Host,
        tokens: Tokens,
        *,
        mac: Mac,
        base_url: str,
        ref: str,
        major: int | None,
        virtual_ip: IPv4Address | None = None,
    ) -> str:
        return kickstart.kickstart(
            self._engine,
            host,
            mac=mac,
            base_url=base_url,
            report_token=tokens.report,
            ignition_token=tokens.ignition,
            ref=ref,
            installer_major=major,
            sets_clock=self._sets_clock,
            virtual_ip=virtual_ip,
            place=self._place,
        )

    def kernel_lines(self, host: Host, tokens: Tokens, *, mac: Mac, base_url: str) -> dict[str, str]:
        """Return the kernel arguments of installer and installed system, by these names; raise RenderError."""
        installer = kernel_line.installer(
            host, mac=mac, base_url=base_url, kickstart_token=tokens.kickstart, place=self._place
        )
        installed = kernel_line.installed(host, mac=mac, base_url=base_url, ignition_token=tokens.ignition)
        return {"installer": " ".join(installer), "installed": " ".join(installed)}

    def inspection_kickstart(self, name: str, *, mac: Mac, base_url: str, token: str) -> str:
        """Write the Kickstart that inspects a machine; raise RenderError."""
        return kickstart.inspection(self._engine, name, mac=mac, base_url=base_url, token=token)

    async def medium_problem(self, medium: str) -> ContentError | None:
        """Return why a boot medium cannot be served now: a few small files are read in a thread."""
        return await asyncio.to_thread(content_problem, self._content, medium, None)

    async def ignition(self, host: Host, tokens: Tokens, *, mac: Mac, base_url: str) -> IgnitionSet:
        """Write wrapper and overlay around the role's file, which stays byte for byte; raise RenderError.

        `mac` is the network card that sent the request. A file whose secrets have ended is refused.
        """
        role = await asyncio.to_thread(self._read_role, host)
        refuse_ended(host, role, self._now())
        overlay = ignition.overlay(
            self._engine,
            host,
            version=role.ignition.version,
            ready_url=urls.report(base_url, tokens.report, "ready"),
            mac=mac,
            role_paths=role.ignition.paths,
        )
        _verify_overlay(host, role.ignition, overlay)
        wrapper = ignition.wrapper(
            version=role.ignition.version,
            base_url=base_url,
            token=tokens.ignition,
            role_sha512=hashlib.sha512(role.content).hexdigest(),
            overlay_sha512=hashlib.sha512(overlay).hexdigest(),
        )
        parts = {IgnitionPart.WRAPPER: wrapper, IgnitionPart.ROLE: role.content, IgnitionPart.OVERLAY: overlay}
        return IgnitionSet(parts, role)

    def _read_role(self, host: Host) -> RoleFileRead:
        """Read and verify the role's file again: it may have changed since the hosts were read."""
        if host.ignition is None:
            raise RenderError(
                f"{host.name} has no Ignition file; "
                f"set roles.{host.role}.ignition to what ocne cluster start or join wrote"
            )
        try:
            role = self._role_files.read(host.ignition)
        except OSError as error:
            raise _cannot_read(host, host.ignition, error) from error
        for problem in role.ignition.problems[:1]:
            what = f"{problem.in_file(host.ignition)}; {problem.cure}"
            raise RenderError(f"cannot serve the Ignition of {host.name}: {what}")
        return role

    async def release(self, host: Host) -> Release | RemoteRelease:
        """Return the release that a host installs; one of this appliance is read once. Raises ContentError."""
        name = host.release
        if name is None:
            raise RenderError(f"{host.name} has no release to install; set hosts.{host.name}.release")
        if isinstance(name, RemoteRelease):
            return name
        async with self._reading[name]:
            if name not in self._releases:
                try:
                    self._releases[name] = await asyncio.to_thread(read_release, self._content, name)
                except OSError as error:
                    raise cannot_read(EntryKind.RELEASE.path(self._content, name), error) from error
        return self._releases[name]

    async def warm(self, hosts: Iterable[Host]) -> None:
        """Read the releases of these hosts now, before a script needs them; errors are reported then."""
        for host in {host.release: host for host in hosts}.values():
            with suppress(RenderError, ContentError):
                await self.release(host)

    async def renewed(self, hosts: Iterable[Host], changed: Collection[str]) -> "Documents":
        """Return documents that read the `changed` releases of these hosts anew: the content directory changed."""
        fresh = Documents(self._engine, self._content, place=self._place, sets_clock=self._sets_clock, now=self._now)
        fresh._releases = {name: release for name, release in self._releases.items() if name not in changed}
        await fresh.warm(hosts)
        return fresh

    def object_count(self, name: str) -> int | None:
        """Return how many objects the ref of a release reaches; None if it was not read yet. From memory."""
        release = self._releases.get(name)
        return release.object_count if release else None

    def is_ready(self, host: Host, language: ScriptLanguage) -> bool:
        """Return whether `problems` found none for this host, and its role's file is the same. From memory."""
        ready = self._ready.get((host.name, language))
        if ready is None or (ready.host, ready.stamp) != (host, _stamp(host.ignition)):
            return False
        return ready.until is None or self._now() < ready.until

    async def content_problem(self, host: Host) -> ContentError | None:
        """Return why a host's boot medium or release cannot be served now: a few small files are read in a thread."""
        return await asyncio.to_thread(content_problem, self._content, host.boot_media, host.local_release)

    async def architectures(self, host: Host) -> dict[tuple[str, str], str]:
        """Return the CPU architecture of a host's medium and of its release, by key and name, where it is known."""
        return await asyncio.to_thread(_architectures, self._content, host)

    async def problems(
        self, host: Host, languages: Collection[ScriptLanguage] = tuple(ScriptLanguage)
    ) -> list[RenderError | ContentError]:
        """Render everything that an install of this host needs; list what is missing or cannot be rendered."""
        stamp = _stamp(host.ignition)
        base_url, tokens = urls.LONGEST_BASE_URL, Tokens("0" * 32, "0" * 32, "0" * 32)
        found: list[RenderError | ContentError] = [RenderError(fault) for fault in host.faults]
        deadlines: tuple[Deadline, ...] = ()
        for attempt in (
            self._check_medium(host.boot_media),
            self._check_architectures(host),
            self.release(host),
            self.ignition(host, tokens, mac=host.mac, base_url=base_url),
        ):
            try:
                made = await attempt
                deadlines = made.role.deadlines if isinstance(made, IgnitionSet) else deadlines
            except (RenderError, ContentError) as error:
                found.append(error)
            except OSError as error:
                reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
                cure = "let the user that runs netboot read it"
                found.append(ContentError(f"cannot read what {host.name} is installed from: {reason}; {cure}"))
        major = await self._installer_major(host)
        released = replace(host, release=host.release or "none")  # a missing release is reported above
        plan = InstallPlan(host, tokens.kickstart, host.mac)
        found += _failures(
            [
                lambda: self._kickstart(released, tokens, mac=host.mac, base_url=base_url, ref="none", major=major),
                *(partial(self.script, plan, language, base_url=base_url) for language in languages),
            ]
        )
        if not found:
            until = min((each.at for each in deadlines), default=None)
            self._ready |= {(host.name, language): _Ready(host, stamp, until) for language in languages}
        return list({str(error): error for error in found}.values())  # iPXE and GRUB share a kernel line

    async def _check_architectures(self, host: Host) -> None:
        parts = await self.architectures(host)
        if len(set(parts.values())) > 1:
            listed = " and ".join(f"{part} is for {architecture}" for (_, part), architecture in parts.items())
            cure = f"correct hosts.{host.name}.boot_media or hosts.{host.name}.release"
            raise ContentError(f"{host.name} cannot start what it installs: its {listed}; {cure}")

    async def _check_medium(self, boot_media: str | None) -> None:
        if boot_media is not None:  # the script's own error names a missing one
            await asyncio.to_thread(check_medium, self._content, boot_media)

    def script_problems(self, mac: Mac, host: Host | None) -> list[RenderError]:
        """Render every script that a machine may get before and after an install; list what cannot be rendered."""
        reasons = [reason for reason in WaitReason if (reason is WaitReason.UNKNOWN_HOST) == (host is None)]
        plans: list[ScriptPlan] = [LocalBootPlan(mac, host), *(WaitPlan(mac, reason, host) for reason in reasons)]
        plans.append(InspectPlan(mac, "medium", host, "0" * 32))
        scripts = [
            partial(self.script, plan, language, base_url=urls.LONGEST_BASE_URL)
            for plan in plans
            for language in ScriptLanguage
        ]
        name, base_url = host.name if host else mac, urls.LONGEST_BASE_URL
        return _failures(
            [*scripts, partial(self.inspection_kickstart, name, mac=mac, base_url=base_url, token="0" * 32)]
        )

    def autoexec_problems(self, mac: Mac) -> list[RenderError]:
        """Render the scripts that lead an iPXE to its script, for this MAC and for any; list what fails."""
        return _failures(
            partial(boot_script.autoexec, self._engine, named, base_url=urls.LONGEST_BASE_URL) for named in (mac, None)
        )


def content_problem(directory: Path, medium: str | None, release: str | None) -> ContentError | None:
    """Return why this boot medium or this release cannot be served now; None if both can, or none is named."""
    try:
        if medium is not None:
            check_medium(directory, medium)
        if release is not None:
            check_release(directory, release)
    except ContentError as error:
        return error
    except OSError as error:
        return cannot_read(Path(error.filename or directory), error)
    return None


def _architectures(directory: Path, host: Host) -> dict[tuple[str, str], str]:
    found = {}
    if host.boot_media is not None:
        found["boot_media", f"boot medium {host.boot_media}"] = medium_architecture(directory, host.boot_media)
    if host.local_release is not None:
        found["release", f"release {host.local_release}"] = release_architecture(directory, host.local_release)
    return {part: architecture for part, architecture in found.items() if architecture is not None}


def _failures(renders: Iterable[Callable[[], str]]) -> list[RenderError]:
    found: dict[str, RenderError] = {}
    for render in renders:
        try:
            render()
        except RenderError as error:
            found.setdefault(str(error), error)
    return list(found.values())


@cache
def _built_in_engine() -> Engine:
    return Engine([assets_directory() / "templates"])


def refuse_ended(host: Host, role: RoleFileRead, now: datetime) -> None:
    """Raise RenderError if a secret of the role's file has ended."""
    fault = role.fault(now)
    if fault is not None:
        raise RenderError(f"cannot serve the Ignition of {host.name}: {fault}")


def _verify_overlay(host: Host, role: IgnitionFile, overlay: bytes) -> None:
    """Refuse an overlay that Ignition would refuse, alone or merged with the role's file."""
    file = read_ignition(overlay)
    problems = file.problems or check_merged([role, file])
    if problems:
        what = f"the overlay is refused by Ignition: {problems[0]}"
        raise RenderError(f"cannot render the Ignition of {host.name}: {what} (templates ignition/*, {host.ignition})")


def _stamp(path: Path | None) -> _Stamp:
    """Return what changes where a file is replaced; None: there is none."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return status and (status.st_size, status.st_mtime_ns, status.st_ino)


def _cannot_read(host: Host, path: Path, error: OSError) -> RenderError:
    if error.errno == errno.EINVAL:
        return RenderError(f"cannot read the Ignition of {host.name}: {path} is not a regular file")
    is_closed = isinstance(error, PermissionError)
    cure = f"chgrp netboot {path} && chmod g+r {path}" if is_closed else f"put it there, or correct roles.{host.role}"
    return RenderError(f"cannot read the Ignition of {host.name}: {path}: {error.strerror}; {cure}")

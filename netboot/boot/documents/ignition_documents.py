"""The Ignition of one host: a wrapper, the role's file byte for byte, and an overlay. Rendered at each request.

Embedded, the wrapper holds the other two, and the installer gets it in an archive for the initramfs.

The role's file is read and verified again each time, in a thread: it may have changed since the hosts were read.
"""

import asyncio
import errno
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from netboot.boot.documents.node_update_rules import NodeUpdateRules
from netboot.boot.documents.role_files import RoleFileRead, RoleFiles
from netboot.errors import EndedSecretError, IgnitionFileError, RenderError, raise_without_descriptor
from netboot.ignition.check import IgnitionFile, check_merged, read_ignition
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.install.token import Tokens
from netboot.render import embedded_ignition, ignition
from netboot.render.template_engine import Engine

HELD_VERSION: Final = "3.3.0"  # before the role's file is known: older than that of ocne, which each Ignition reads


class IgnitionPart(StrEnum):
    """The wrapper, and the two documents that it merges; the archive is what the installer embeds."""

    WRAPPER = "wrapper"
    ROLE = "role"
    OVERLAY = "overlay"
    ARCHIVE = "archive"


class IgnitionSet(dict[IgnitionPart, bytes]):
    """The exact bytes of each part: the wrapper has the hashes of the other two; and the role's file as it was read.

    Only an embedded one has an archive.
    """

    def __init__(self, parts: Mapping[IgnitionPart, bytes], role: RoleFileRead) -> None:
        super().__init__(parts)
        self.role = role


class IgnitionDocuments:
    """Renders the Ignition of hosts from one set of templates. `sends_journal`: the first boot sends its journal."""

    def __init__(
        self,
        engine: Engine,
        now: Callable[[], datetime],
        *,
        sends_journal: bool = False,
        updates: NodeUpdateRules = NodeUpdateRules(),  # noqa: B008 - frozen
    ) -> None:
        self._engine = engine
        self._updates = updates
        self._sends_journal = sends_journal
        self._now = now
        self._role_files = RoleFiles()

    async def render(
        self, host: Host, tokens: Tokens, *, mac: Mac, base_url: str, is_embedded: bool = False
    ) -> IgnitionSet:
        """Write wrapper and overlay around the role's file; raise RenderError.

        `mac` is the network card that sent the request. A file whose secrets have ended is refused.
        """
        role = await self.role_file(host)
        refuse_ended(host, role, self._now())
        overlay = ignition.overlay(
            self._engine,
            host,
            version=role.ignition.version,
            ready_url=urls.report(base_url, tokens.report, "ready"),
            log_url=urls.report(base_url, tokens.report, urls.LOG_REPORT) if self._sends_journal else None,
            mac=mac,
            role_paths=role.ignition.paths,
            is_embedded=is_embedded,
            updates=await self._updates.of(host, tokens, base_url=base_url),
        )
        _verify_overlay(host, role.ignition, overlay)
        parts = {IgnitionPart.ROLE: role.content, IgnitionPart.OVERLAY: overlay}
        version = role.ignition.version
        if is_embedded:
            wrapper = embedded_ignition.wrapper(version=version, role=role.content, overlay=overlay)
            archive = await asyncio.to_thread(embedded_ignition.archive, host, wrapper)
            return IgnitionSet({IgnitionPart.WRAPPER: wrapper, **parts, IgnitionPart.ARCHIVE: archive}, role)
        wrapper = ignition.wrapper(
            version=version,
            base_url=base_url,
            token=tokens.ignition,
            role_sha512=hashlib.sha512(role.content).hexdigest(),
            overlay_sha512=hashlib.sha512(overlay).hexdigest(),
        )
        return IgnitionSet({IgnitionPart.WRAPPER: wrapper, **parts}, role)

    async def render_held(self, host: Host, tokens: Tokens, *, mac: Mac, base_url: str) -> bytes:
        """Write the wrapper of a host whose role's file is made later; raise RenderError if its overlay fails."""
        overlay = ignition.overlay(
            self._engine,
            host,
            version=HELD_VERSION,
            ready_url=urls.report(base_url, tokens.report, "ready"),
            log_url=urls.report(base_url, tokens.report, urls.LOG_REPORT) if self._sends_journal else None,
            mac=mac,
            updates=await self._updates.of(host, tokens, base_url=base_url),
        )
        if problems := read_ignition(overlay).problems:
            raise _refused_overlay(host, problems[0])
        return ignition.wrapper(
            version=HELD_VERSION, base_url=base_url, token=tokens.ignition, role_sha512=None, overlay_sha512=None
        )

    async def role_file(self, host: Host) -> RoleFileRead:
        """Read and verify the role's file of a host; raise RenderError."""
        return await asyncio.to_thread(self._read, host)

    def _read(self, host: Host) -> RoleFileRead:
        if host.ignition is None:
            raise IgnitionFileError(
                f"{host.name} has no Ignition file; "
                f"set roles.{host.role}.ignition to what ocne cluster start or join wrote"
            )
        try:
            role = self._role_files.read(host.ignition)
        except OSError as error:
            raise_without_descriptor(error)
            raise _cannot_read(host, host.ignition, error) from error
        for problem in role.ignition.problems[:1]:
            what = f"{problem.in_file(host.ignition)}; {problem.cure}"
            raise IgnitionFileError(f"cannot serve the Ignition of {host.name}: {what}")
        return role


def refuse_ended(host: Host, role: RoleFileRead, now: datetime) -> None:
    """Raise RenderError if a secret of the role's file has ended."""
    fault = role.fault(now)
    if fault is not None:
        raise EndedSecretError(f"cannot serve the Ignition of {host.name}: {fault}")


def _verify_overlay(host: Host, role: IgnitionFile, overlay: bytes) -> None:
    """Refuse an overlay that Ignition would refuse, alone or merged with the role's file."""
    file = read_ignition(overlay)
    problems = file.problems or check_merged([role, file])
    if problems:
        raise _refused_overlay(host, problems[0])


def _refused_overlay(host: Host, problem: object) -> RenderError:
    what = f"the overlay is refused by Ignition: {problem}"
    return RenderError(f"cannot render the Ignition of {host.name}: {what} (templates ignition/*, {host.ignition})")


def _cannot_read(host: Host, path: Path, error: OSError) -> IgnitionFileError:
    if error.errno == errno.EINVAL:
        return IgnitionFileError(f"cannot read the Ignition of {host.name}: {path} is not a regular file")
    match error:
        case PermissionError():
            cure = f"chgrp netboot {path} && chmod g+r {path}"
        case FileNotFoundError():
            cure = f"put it there, let netboot cluster rollout make it, or correct roles.{host.role}"
        case _:
            cure = f"put it there, or correct roles.{host.role}"
    return IgnitionFileError(f"cannot read the Ignition of {host.name}: {path}: {error.strerror}; {cure}")

"""Takes the user and password of a host's BMC, which nothing of netboot shows again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netboot.bmc.bmc_fault import BmcFaultError
from netboot.bmc.credentials import BmcCredentials, credentials_path, write_credentials
from netboot.errors import BmcError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.host.host import HostName, HostSet
from netboot.operate.audit import audited


@dataclass(frozen=True, slots=True)
class WrittenCredentials:
    """The file that was written."""

    host: HostName
    file: Path


@dataclass(frozen=True, slots=True)
class BmcCredentialFiles:
    """The use case. `directory` has the files of hosts that name none."""

    directory: Path
    hosts: Callable[[], HostSet]
    events: EventBus
    user: Actor  # of this process: the actor of a change that names none

    async def set(self, name: str, credentials: BmcCredentials, *, actor: Actor | None = None) -> WrittenCredentials:
        """Write the file of a host, in place of one that exists; raise UnknownHostError, BmcError."""
        with audited(self.events, "set BMC credentials", actor or self.user, subject=name):
            host = self.hosts().named(name)
            path = credentials_path(host, self.directory)
            try:
                await asyncio.to_thread(write_credentials, path, credentials)
            except BmcFaultError as error:
                operation = "write the BMC credentials"
                raise BmcError(operation, host.name, error.reason, error.cure, fault=error.fault) from None
        return WrittenCredentials(host.name, path)

"""Takes the user and password of a host's BMC, which nothing of netboot shows again, and only that BMC gets."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netboot.bmc.bmc_fault import BmcFault, BmcFaultError
from netboot.bmc.credentials import BmcCredentials, credentials_path, write_credentials
from netboot.errors import BmcRefusedError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.bmc.bmc import Bmc
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.words import one_line
from netboot.operate.audit import audited


@dataclass(frozen=True, slots=True)
class WrittenCredentials:
    """The file that was written, and the BMC that gets what it has; `certificate`: what that is verified with."""

    host: HostName
    file: Path
    url: str
    certificate: str


@dataclass(frozen=True, slots=True)
class BmcCredentialFiles:
    """The use case. `directory` has the files that are written: no hosts file leads to another one."""

    directory: Path
    hosts: Callable[[], HostSet]
    events: EventBus
    user: Actor  # of this process: the actor of a change that names none

    async def set(
        self, name: str, credentials: BmcCredentials, *, url: str | None = None, actor: Actor | None = None
    ) -> WrittenCredentials:
        """Write the file of a host, in place of one that exists; raise UnknownHostError, BmcRefusedError.

        `url`: the BMC that gets them, as the operator was shown it; if the host has another one by now, it is an error.
        """
        with audited(self.events, "set BMC credentials", actor or self.user, subject=name):
            host = self.hosts().named(name)
            path = self.directory / host.name
            try:
                bmc = self._bmc(host, url)
                await asyncio.to_thread(write_credentials, path, credentials, bmc)
            except BmcFaultError as error:
                operation, cure = "write the credentials for the BMC", error.cure.replace("HOST", host.name)
                raise BmcRefusedError(operation, host.name, error.reason, cure, fault=error.fault) from None
        return WrittenCredentials(host.name, path, bmc.url, bmc.certificate.text)

    def _bmc(self, host: Host, url: str | None) -> Bmc:
        """Return the BMC that gets what is written; raise BmcFaultError."""
        if host.bmc is None:
            raise BmcFaultError(BmcFault.NO_BMC, "no hosts file names it", "set hosts.HOST.bmc first")
        if url is not None and url != host.bmc.url:
            cure = "look whether that is right, then set them again"
            raise BmcFaultError(BmcFault.CREDENTIALS, f"it is {host.bmc.url} by now, not {one_line(url)}", cure)
        path = credentials_path(host, self.directory)
        if path.absolute() != (self.directory / host.name).absolute():
            lines = f"username, password, url: {host.bmc.url}, certificate: {host.bmc.certificate.text}"
            cure = f"write it by hand, with {lines}; or remove bmc.credentials of the host"
            raise BmcFaultError(BmcFault.CREDENTIALS, f"the hosts files name another file for it, {path}", cure)
        return host.bmc

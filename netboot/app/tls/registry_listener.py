"""The registry with TLS: the paths below `/v2/`, and no other, at `registry.tls_port` of each address of the boot LAN.

Opens and closes its listeners as addresses appear and disappear, and opens none without a certificate.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from ipaddress import ip_address
from typing import Final

import structlog

from netboot.app.tls.certificate_in_force import CertificateInForce
from netboot.app.tls.tls_listener import TlsListener
from netboot.model.access.certificate_files import CertificateFiles
from netboot.model.admin_listen import AddressEndpoint
from netboot.serve.net.descriptors import DescriptorUser
from netboot.serve.static_http.engine import HttpEngine
from netboot.serve.static_http.machine_limit import MachineLimit
from netboot.serve.static_http.static_files import StaticFiles
from netboot.telemetry.health import HealthPart, PartState
from netboot.telemetry.metrics import Reading

MOST_OF_MACHINE: Final = 256  # connections; a node opens some six, and a rack can be behind one router
MOST_OF_ALL: Final = 8192

log = structlog.get_logger()


class RegistryListener:
    """The registry's TLS listeners and its certificate."""

    def __init__(
        self, certificate: CertificateFiles, files: StaticFiles, *, port: int, now: Callable[[], datetime]
    ) -> None:
        """`open` begins; `listen` opens the listeners."""
        self._certificate = CertificateInForce(certificate, now=now)
        self._files = files
        self._port = port
        self._now = now
        self._engine: HttpEngine
        self._limit = MachineLimit(MOST_OF_MACHINE, most_of_all=MOST_OF_ALL)
        self._wanted: frozenset[str] = frozenset()
        self._opened: dict[str, TlsListener] = {}
        self._failed: dict[str, str] = {}  # why an address could not be listened on

    async def open(self) -> None:
        """Prepare the engine, on the running loop."""
        self._engine = HttpEngine(self._files, None)

    async def listen(self, addresses: Collection[str]) -> None:
        """Listen on these addresses from now on, with the certificate as its files have it now."""
        await self._certificate.refresh()
        self._limit.forget_closed()
        self._wanted = frozenset(addresses) if self._certificate.context is not None else frozenset()
        for address in self._opened.keys() - self._wanted:
            await self._opened.pop(address).close()
            log.info("registry.closed", address=address, port=self._port)
        self._failed = {address: reason for address, reason in self._failed.items() if address in self._wanted}
        for address in sorted(self._wanted - self._opened.keys()):
            self._open(address)

    def _open(self, address: str) -> None:
        listener = TlsListener(
            AddressEndpoint(ip_address(address), self._port),
            handler=self._engine.protocol,
            context=self._certificate.context_in_force,
            closed_interfaces=(),
            limit=self._limit,
            user=DescriptorUser.BOOT_CONNECTION,
            most_without_exception=MOST_OF_ALL,
            on_refused=lambda reason: self._files.counters.count("registry_connections_refused", reason=reason),
        )
        try:
            listener.open()
        except OSError as error:
            cure = "see registry.tls_port; ss -ltnp names the programs that listen"
            reason = f"cannot listen on {address}, TCP port {self._port}: {error.strerror}; {cure}"
            if self._failed.get(address) != reason:  # it is tried every few seconds
                log.error("registry.bind_failed", address=address, port=self._port, reason=reason)
            self._failed[address] = reason
            return
        self._failed.pop(address, None)
        self._opened[address] = listener
        log.info("registry.opened", address=address, port=self._port)

    @property
    def problems(self) -> list[str]:
        """Why the registry is not served with TLS as declared now."""
        return [*self._certificate.problems(), *(self._failed[address] for address in sorted(self._failed))]

    def warnings(self, wanted: Collection[str]) -> list[str]:
        """List what should be corrected in the certificate; `wanted` are the addresses that machines use."""
        return self._certificate.warnings(wanted)

    def parts(self) -> Iterator[HealthPart]:
        """Give the state of each address and of the certificate: no machine boots by it."""
        for address in sorted(self._wanted):
            name = f"{address}:{self._port}"
            yield HealthPart.of("registry", self._failed.get(address), name=name, at_worst=PartState.DEGRADED)
        problems = self._certificate.problems()
        yield HealthPart.of("registry", *problems, name="certificate", at_worst=PartState.DEGRADED)

    def endpoints(self) -> list[str]:
        """List the addresses that it listens on."""
        return sorted(self._opened)

    def readings(self) -> Iterator[Reading]:
        """Read the connections, and the remaining time of the certificate."""
        yield Reading("registry_connections", self._engine.open.limit.open_count)
        if self._certificate.ends_at is not None:
            left = self._certificate.ends_at - self._now()
            yield Reading("registry_certificate_remaining_seconds", left.total_seconds())

    async def close(self, drain_s: float) -> None:
        """Accept no more connections; running answers have `drain_s` seconds to end."""
        for listener in self._opened.values():
            await listener.stop()
        await self._engine.stop(drain_s)

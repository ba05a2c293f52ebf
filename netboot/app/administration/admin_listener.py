"""Serves the administration on the control socket and on `admin.listen`. Never stops the daemon.

Loopback addresses have HTTP, all others TLS. What `admin.listen` names is applied to the addresses that this appliance
has, at the start and after each change of them.
"""

import asyncio
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import aclosing
from datetime import datetime
from typing import Final

import structlog
from aiohttp import web

from netboot.app.running.round_trip import Endpoint
from netboot.app.tls.certificate_in_force import CertificateInForce
from netboot.app.tls.tls_listener import MOST_OF_ALL, MOST_OF_CLIENT, TlsListener
from netboot.errors import NetbootError
from netboot.model.admin_listen import (
    NO_CERTIFICATE,
    SEE_CERTIFICATE,
    AddressEndpoint,
    LocalAddresses,
    PlannedListener,
    closed_interfaces,
    expected_names,
    plan_listeners,
)
from netboot.serve.boot_http.runner import quiet_runner
from netboot.serve.net.descriptors import DescriptorUser, ListeningSocket, permitted
from netboot.serve.net.local_addresses import follow_local_addresses, read_local_addresses
from netboot.serve.static_http.machine_limit import MachineLimit
from netboot.settings.admin_setting import Admin
from netboot.telemetry.health import HealthPart, PartState
from netboot.telemetry.metrics import Metrics, Reading

RETRY_S: Final = 2.0  # between two attempts to open an address, and two looks at the certificate's files
_PART_OF_ALL: Final = 4  # of the daemon's descriptors, for connections to the administration; the boot LAN needs others
_PART_OF_LISTEN: Final = 8  # beyond this many of them, only the control socket accepts one
_Opened = web.SockSite | TlsListener

log = structlog.get_logger()


class AdminListener:
    """The administration on the control socket and on `admin.listen`."""

    def __init__(
        self,
        settings: Admin,
        application: web.Application,
        *,
        boot_interfaces: Collection[str],
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        """`boot_interfaces`: those on which machines boot, where it listens only if `admin.listen` names them."""
        self._settings = settings
        self._boot_interfaces = boot_interfaces
        self._runner = quiet_runner(application, metrics, drain_s=1.0)
        self._metrics = metrics
        self._now = now
        self._certificate = CertificateInForce(settings.tls.files if settings.tls is not None else None, now=now)
        self._limit = MachineLimit(MOST_OF_CLIENT, most_of_all=MOST_OF_ALL)
        self._here: LocalAddresses = {}
        self._planned = [PlannedListener(each, problem="it is not open yet") for each in settings.listen]
        self._opened: dict[AddressEndpoint, _Opened] = {}
        self._failed: dict[AddressEndpoint, str] = {}  # why an address could not be listened on

    def parts(self) -> list[HealthPart]:
        """List the state of each endpoint of `admin.listen`, which machines do not need, and of the certificate.

        Its connections are a part while no more are accepted.
        """
        found = [self._part(planned) for planned in self._planned]
        found += [
            HealthPart.of("admin", fault, name="connections", at_worst=PartState.DEGRADED) for fault in self._fullness()
        ]
        if self._settings.tls is not None:
            problems = self._certificate.problems()
            found.append(HealthPart.of("admin", *problems, name="certificate", at_worst=PartState.DEGRADED))
        return found

    @property
    def problems(self) -> list[str]:
        """Why some of `admin.listen` is not served as declared now."""
        reasons = [reason for planned in self._planned for reason in self._reasons(planned)]
        return [*dict.fromkeys(reasons), *self._fullness(), *self._certificate.problems()]

    @property
    def warnings(self) -> list[str]:
        """What should be corrected in the certificate."""
        settings = self._settings
        return self._certificate.warnings(expected_names(settings.listen, self._here, public_url=settings.public_url))

    def endpoints(self) -> list[Endpoint]:
        """List where the administration is served now."""
        found = [Endpoint(str(each.address), each.port, has_tls=each.needs_tls) for each in self._opened]
        return [Endpoint(self._settings.socket), *found]

    def readings(self) -> Iterator[Reading]:
        """Read the remaining time of the certificate."""
        if self._certificate.ends_at is not None:
            left = self._certificate.ends_at - self._now()
            yield Reading("admin_certificate_remaining_seconds", left.total_seconds())

    async def open(self) -> None:
        """Open both; raise NetbootError if the socket cannot be. What cannot be opened of `admin.listen` is retried."""
        await self._runner.setup()
        path = self._settings.socket
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_socket():  # of a daemon that was killed: `start` has made sure that nobody listens on it
                path.unlink()
            user = DescriptorUser.CONTROL_CONNECTION
            await self._site(socket.AF_UNIX, str(path), user=user, part=_PART_OF_ALL).start()
            path.chmod(0o660)
        except OSError as error:
            raise NetbootError(
                f"cannot open the administration on {path}: {error.strerror}; "
                "is another netboot running? see admin.socket"
            ) from error
        self._here = await read_local_addresses()
        await self._apply()

    async def run(self) -> None:
        """Follow the addresses of this appliance and the certificate's files, and retry what could not be opened."""
        changed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(changed))
            while True:
                await self._apply()
                self._limit.forget_closed()
                try:
                    async with asyncio.timeout(RETRY_S):
                        await changed.wait()
                except TimeoutError:
                    continue
                changed.clear()

    async def close(self) -> None:
        """Wait for running requests, then stop."""
        for opened in self._opened.values():
            if isinstance(opened, TlsListener):
                await opened.stop()
        await self._runner.cleanup()

    async def _follow(self, changed: asyncio.Event) -> None:
        while True:
            try:
                async with aclosing(follow_local_addresses()) as changes:
                    async for here in changes:
                        self._here = here
                        changed.set()
            except Exception:  # in the daemon's TaskGroup, which a fault here must not end
                log.exception("admin.addresses_unread")
                await asyncio.sleep(RETRY_S)

    async def _apply(self) -> None:
        """Listen on what is planned now, and on nothing else."""
        await self._certificate.refresh()
        self._planned = plan_listeners(
            self._settings.listen,
            self._here,
            boot_interfaces=self._boot_interfaces,
            without_tls=self._without_tls(),
        )
        wanted = {address for planned in self._planned for address in planned.addresses}
        for address in self._opened.keys() - wanted:
            await _close(self._opened.pop(address))
            log.info("admin.closed", address=str(address))
        for address in self._failed.keys() - wanted:
            del self._failed[address]
        for address in sorted(wanted - self._opened.keys(), key=str):
            await self._open(address)

    def _without_tls(self) -> str | None:
        """Return why there is no certificate; None: there is one."""
        if self._certificate.context is not None:
            return None
        return NO_CERTIFICATE if self._settings.tls is None else SEE_CERTIFICATE

    async def _open(self, address: AddressEndpoint) -> None:
        family = socket.AF_INET6 if address.address.version == 6 else socket.AF_INET
        try:
            if address.needs_tls:
                listener = self._tls_listener(address)
                listener.open()
                self._opened[address] = listener
            else:
                bound = str(address.address), address.port
                site = self._site(family, bound, user=DescriptorUser.ADMIN_CONNECTION, part=_PART_OF_LISTEN)
                await site.start()
                self._opened[address] = site
        except OSError as error:
            reason = f"cannot listen on {address}: {error.strerror}; see admin.listen"
            if self._failed.get(address) != reason:  # retried every few seconds
                log.error("admin.bind_failed", address=str(address), reason=reason)
            self._failed[address] = reason
            return
        self._failed.pop(address, None)
        log.info("admin.opened", address=str(address), tls=address.needs_tls)

    def _fullness(self) -> list[str]:
        """Return why `admin.listen` accepts no further connection; empty while it does."""
        server, most = self._runner.server, permitted() // _PART_OF_LISTEN
        if server is None or len(server.connections) < most:
            return []
        return [f"admin.listen accepts no more than {most} connections; find who holds them: ss -tnp"]

    def _site(self, family: socket.AddressFamily, address: object, *, user: DescriptorUser, part: int) -> web.SockSite:
        server = self._runner.server
        assert server is not None  # since `open`
        return web.SockSite(
            self._runner,
            ListeningSocket.listening(
                family,
                address,
                user=user,
                is_full=lambda: len(server.connections) >= permitted() // part,
                on_refused=lambda _address: self._metrics.count("admin_connections_refused", reason="too-many"),
            ),
        )

    def _tls_listener(self, address: AddressEndpoint) -> TlsListener:
        server = self._runner.server
        assert server is not None  # since `open`
        return TlsListener(
            address,
            handler=server,
            context=self._certificate.context_in_force,
            closed_interfaces=closed_interfaces(self._settings.listen, self._boot_interfaces),
            limit=self._limit,
            on_refused=lambda reason: self._metrics.count("admin_connections_refused", reason=reason),
        )

    def _part(self, planned: PlannedListener) -> HealthPart:
        name = str(planned.endpoint)
        return HealthPart.of("admin", *self._reasons(planned), name=name, at_worst=PartState.DEGRADED)

    def _reasons(self, planned: PlannedListener) -> list[str]:
        failed = [self._failed[address] for address in planned.addresses if address in self._failed]
        return [planned.problem, *failed] if planned.problem is not None else failed


async def _close(opened: _Opened) -> None:
    if isinstance(opened, TlsListener):
        await opened.close()
    else:
        await opened.stop()

"""The daemon's listeners. An offer directs a machine to TFTP or HTTP: both open before DHCP and close after it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from ipaddress import IPv4Address
from itertools import chain
from typing import Final

import structlog
from aiohttp import web

from netboot.app import from_settings
from netboot.app.appliances.known_appliances import OnLan
from netboot.app.boot_services import BootServices
from netboot.app.running.round_trip import Endpoint
from netboot.app.tls.registry_listener import RegistryListener
from netboot.content.serving.index import ContentIndex
from netboot.leasing.lease_service import LeaseService
from netboot.model import urls
from netboot.model.host.network import DhcpMode
from netboot.operate.power.boot_lan import BootLans
from netboot.operate.readiness import NO_INTERFACE
from netboot.serve.boot_http.boot_listener import BootHttpListener, last_and_counted, recorded
from netboot.serve.boot_http.document_handler import CheckHealth, DocumentHandler
from netboot.serve.dhcp.dhcp_server import DhcpServer, DhcpSettings
from netboot.serve.dhcp.lease_handler import Leasing
from netboot.serve.dhcp.reply_listener import ReplyListener
from netboot.serve.net.interfaces import Interfaces
from netboot.serve.net.port_holders import shadow_problems
from netboot.serve.static_http.captured_requests import CapturedRequests
from netboot.serve.static_http.shares import Shares
from netboot.serve.static_http.static_files import StaticFiles
from netboot.serve.syslog.syslog_server import SyslogServer
from netboot.serve.tftp.request_handler import TftpSettings
from netboot.serve.tftp.tftp_server import TftpServer
from netboot.serve.tftp.transfers import TransferLimits
from netboot.settings.settings import Settings
from netboot.telemetry.health import HealthPart
from netboot.telemetry.metrics import Metrics, Reading
from netboot.telemetry.throughput import Throughput, Traffic

DRAIN_S: Final = 20.0  # transfers of a kernel and initrd that run at SIGTERM can end
SHADOWS_S: Final = 30.0
RETRY_S: Final = 2.0  # between two attempts to open an address or port that is not available

log = structlog.get_logger()


class BootListeners:
    """The listeners on the boot LAN: DHCP, TFTP, HTTP."""

    def __init__(
        self,
        settings: Settings,
        services: BootServices,
        *,
        leases: LeaseService,
        content: ContentIndex,
        metrics: Metrics,
        health: CheckHealth,
        on_problems: Callable[[], None],
        appliances: Callable[[], frozenset[IPv4Address]],
    ) -> None:
        """`on_problems` is called every few seconds, after each retry.

        `appliances` returns the addresses of the other appliances of the store.
        """
        self._settings = settings
        self._on_problems = on_problems
        self._interfaces: Interfaces | None = None
        self._dhcp: DhcpServer | None = None
        self._shadows: list[str] = []
        self._advertised: dict[str, str] = {}
        self._services, self._leases = services, leases
        self._metrics = metrics
        shares = Shares(settings.http.max_streams, settings.http.client_rate)
        self._static_files = StaticFiles(
            content,
            services.files,
            counters=metrics,
            shares=shares,
            advertised=self._advertised,
        )
        middlewares = [last_and_counted(metrics)]
        if services.capture is not None:
            self._static_files.captured = CapturedRequests(services.capture)
            middlewares.insert(0, recorded(services.capture))
        app = web.Application(middlewares=middlewares)
        handler = DocumentHandler(
            services.scripts,
            services.documents,
            services.inspections,
            services.node_reports,
            health_check=health,
            log_lines=services.log_lines,
            advertised=self._advertised,
        )
        app.add_routes(handler.routes())
        self._http = BootHttpListener(app, files=self._static_files, port=settings.http.port, drain_s=DRAIN_S)
        self._registry = self._registry_listener()
        tftp = settings.tftp
        transfers = TransferLimits(total=tftp.max_transfers, per_client=tftp.max_transfers_per_client)
        tftp_settings = TftpSettings(tftp.port, tftp.single_port, transfers, settings.http.port)
        self._tftp = TftpServer(services.files, tftp_settings, counters=metrics, capture=services.capture)
        lines = services.log_lines
        self._syslog = SyslogServer(lines, settings.logs.port, counters=metrics) if lines is not None else None
        is_leasing = settings.dhcp.mode is DhcpMode.RESERVATION
        self._replies = ReplyListener(
            services.other_servers, leases=is_leasing, counters=metrics, appliances=appliances
        )
        self.throughput = Throughput(self._bytes_sent, now=services.clock.now, monotonic=services.clock.monotonic)

    def _registry_listener(self) -> RegistryListener | None:
        registry = self._settings.registry
        if registry.files is None:
            return None
        return RegistryListener(
            registry.files, self._static_files, port=registry.tls_port, now=self._services.clock.now
        )

    def content_changed(self) -> None:
        """Serve what the content directory holds now."""
        self._static_files.bodies.clear()

    async def open(self, stack: AsyncExitStack, interfaces: Interfaces, tasks: asyncio.TaskGroup) -> None:
        """Open all of them; `stack` closes them, and ends the tasks that retry."""
        await self._http.open()
        stack.push_async_callback(self._http.close)
        if self._registry is not None:
            await self._registry.open()
            stack.push_async_callback(self._registry.close, DRAIN_S)
        stack.callback(self._tftp.close)
        stack.push_async_callback(self._tftp.drain, DRAIN_S)
        interfaces.on_change(self._tftp.serve)
        if self._syslog is not None:
            stack.callback(self._syslog.close)
            interfaces.on_change(self._syslog.serve)
        if self._settings.dhcp.mode is not DhcpMode.OFF:
            stack.callback(self._replies.close)
            interfaces.on_change(self._replies.serve)
        await self._listen(interfaces)
        leasing = Leasing(self._leases, tasks.create_task)
        settings = self._settings.dhcp
        ports = DhcpSettings(settings.mode, settings.port, settings.pxe_port, self._settings.http.port, settings.listen)
        capture = self._services.capture
        dhcp = DhcpServer(self._services.offers, ports, counters=self._metrics, leasing=leasing, capture=capture)
        stack.callback(dhcp.close)  # closed first: no machine is directed to a server that stops
        interfaces.on_change(dhcp.serve)  # opened last: the other listeners are open
        self._interfaces, self._dhcp = interfaces, dhcp
        await asyncio.to_thread(self._find_shadows, interfaces)
        for each in (interfaces.follow(), self._keep_open(interfaces, dhcp), self.throughput.run()):
            stack.push_async_callback(ended, tasks.create_task(each))  # no listener is reopened while the others close

    def parts(self) -> list[HealthPart]:
        """List the state of each interface and of each listener on it."""
        if self._interfaces is None or self._dhcp is None:
            return [HealthPart.of("interface", "the listeners are not open yet")]
        if not self._settings.network.interfaces:
            return [HealthPart.of("interface", NO_INTERFACE)]
        names, unserved = [each.name for each in self._settings.network.interfaces], self._unserved()
        interfaces = [HealthPart.of("interface", unserved.get(name), name=name) for name in names]
        listeners = [*self._dhcp.parts(), *self._tftp.parts(), *self._http.parts()]
        if self._registry is not None:
            listeners += self._registry.parts()
        return [*interfaces, *listeners, HealthPart.of("udp", *self._shadows)]

    def endpoints(self) -> list[Endpoint]:
        """List where HTTP is served now."""
        found = [Endpoint(address, self._settings.http.port) for address in self._http.endpoints()]
        if self._registry is not None:
            port = self._settings.registry.tls_port
            found += [Endpoint(address, port, has_tls=True) for address in self._registry.endpoints()]
        return found

    def unread(self) -> Iterator[str]:
        """Yield the UDP ports whose datagrams the loop does not read."""
        if self._dhcp is not None:
            yield from chain(self._dhcp.unread(), self._tftp.unread())

    def readings(self) -> Iterator[Reading]:
        """Read the queues of the listeners, and count the other servers."""
        yield from self._replies.readings()
        if self._dhcp is not None:
            yield from chain(self._dhcp.readings(), self._tftp.readings(), self._http.readings())
            if self._registry is not None:
                yield from self._registry.readings()

    def _bytes_sent(self) -> Mapping[Traffic, int]:
        """Add up what was sent since the start: counted answers and transfers, and those that run now."""
        metrics, files = self._metrics, self._static_files
        return {
            Traffic.TFTP: metrics.total("tftp_bytes") + self._tftp.bytes_running(),
            Traffic.HTTP: metrics.total("http_bytes") + files.bytes_running(is_content=False),
            Traffic.CONTENT: metrics.total("content_bytes") + files.bytes_running(is_content=True),
        }

    def problems(self) -> list[str]:
        """List what prevents this appliance from serving machines and nodes now, and from receiving their logs."""
        others = [each.problems for each in (self._registry, self._syslog) if each is not None]
        return [*self.unserved(), *chain.from_iterable(others)]

    def warnings(self) -> list[str]:
        """List what should be corrected in the certificate of the registry."""
        if self._registry is None or self._interfaces is None:
            return []
        return self._registry.warnings([str(each.advertise or each.address) for each in self._interfaces.current])

    def unserved(self) -> list[str]:
        """List the interfaces and ports on which this appliance does not boot machines now, with the reason."""
        if self._interfaces is None or self._dhcp is None:
            return []
        if not self._settings.network.interfaces:
            return [NO_INTERFACE]
        return [
            *self._unserved().values(),
            *self._dhcp.problems,
            *self._tftp.problems,
            *self._http.problems,
            *self._shadows,
        ]

    def base_url(self) -> str:
        """Return the URL of this server that machines on the first interface get, as plans show it."""
        return next(iter(self.base_urls() or from_settings.planned_urls(self._settings, {})))

    def base_urls(self) -> list[str]:
        """List the URLs of this server that machines on each interface get; none if none is known."""
        served = self.lans().served
        if not served:
            return from_settings.base_urls_of(self._settings, {})
        return [urls.base_url(each.advertise or each.address, self._settings.http.port) for each in served]

    def lans(self) -> BootLans:
        """Return the interfaces on which machines are served now."""
        served = self._interfaces.current if self._interfaces is not None else ()
        return BootLans(served, [each.name for each in self._settings.network.interfaces], self._settings.http.port)

    def on_lan(self) -> OnLan:
        """Return where this server is on the boot LAN, also by the addresses that it publishes."""
        found = {each for interface in self.lans().served for each in (*interface.addresses, interface.advertise)}
        return OnLan(next(iter(self.base_urls()), ""), sorted(str(each) for each in found if each is not None))

    def unobserved(self) -> list[str]:
        """List why other servers are not seen on some interface."""
        return self._replies.unobserved

    def _unserved(self) -> dict[str, str]:
        """Return why each interface that cannot be served is not."""
        awaited = self._interfaces.awaited if self._interfaces is not None else {}
        return {
            name: f"interface {name} is not served: {reason}; see network.interfaces"
            for name, reason in awaited.items()
        }

    def _find_shadows(self, interfaces: Interfaces) -> None:
        """Find programs that receive the packets to our UDP ports; log each once."""
        ours = [address for interface in interfaces.current for address in interface.addresses]
        found = shadow_problems(self._settings.tftp.port, ours, what="TFTP requests")
        if self._settings.dhcp.mode is not DhcpMode.OFF:
            found += shadow_problems(self._settings.dhcp.pxe_port, ours, what="the boot requests of UEFI firmware")
        for problem in found:
            if problem not in self._shadows:
                log.error("udp.port_shadowed", reason=problem)
        self._shadows = found

    async def _listen(self, interfaces: Interfaces) -> None:
        self._advertised.clear()
        if self._services.capture is not None:
            self._services.capture.note_interfaces(interfaces.current)
        for interface in interfaces.current:
            if interface.advertise is not None:
                self._advertised |= dict.fromkeys(map(str, interface.addresses), str(interface.advertise))
        listen = self._settings.http.listen or [interface.address for interface in interfaces.current]
        await self._http.listen(map(str, listen))
        if self._registry is not None:
            await self._registry.listen([*map(str, listen)])
        if self._syslog is not None:
            await self._syslog.retry()

    async def _keep_open(self, interfaces: Interfaces, dhcp: DhcpServer) -> None:
        """Follow changes of the addresses, and retry to open what could not be opened."""
        changed = asyncio.Event()
        interfaces.on_change(lambda _: changed.set())
        next_search_at = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await changed.wait()
            changed.clear()
            await self._listen(interfaces)
            self._tftp.retry()
            dhcp.retry()
            self._replies.retry()
            if time.monotonic() >= next_search_at:
                await asyncio.to_thread(self._find_shadows, interfaces)
                next_search_at = time.monotonic() + SHADOWS_S
            self._on_problems()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])

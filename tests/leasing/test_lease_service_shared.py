"""Two lease services on one store: whatever happens in which order, no address is leased to two machines."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from postgresql import Server

from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.leasing.lease_service import LeaseService
from netboot.leasing.rules import OFFER_HELD_S, REST_S
from netboot.model.clock import Clock
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.model.lease import (
    AddressRange,
    LeaseClosed,
    LeaseDropReason,
    LeaseGranted,
    LeaseOffered,
    LeasePolicy,
    LeaseRefused,
    LeaseRequest,
    LeaseRequestKind,
    LeaseToProbe,
    LeaseVerdict,
)
from netboot.store.database import TIMEOUT_S, Database
from netboot.store.leases import LeaseStore

Kind = LeaseRequestKind
LAN, OURS = IPv4Network("192.0.2.0/24"), IPv4Address("192.0.2.10")
LEASE_S = 3600
POOL = (AddressRange(IPv4Address("192.0.2.200"), IPv4Address("192.0.2.202")),)
CARD, OTHER_CARD, *UNREGISTERED = (Mac(f"52:54:00:aa:bb:{number:02}") for number in range(1, 7))
CP1 = Host(HostName("cp1"), Role.WORKER, (CARD, OTHER_CARD), network=HostNetwork(IPv4Interface("192.0.2.101/24")))
HOSTS = HostSet.of(Cluster("test"), [CP1])
CLIENT_ID = {UNREGISTERED[0]: "id:image", UNREGISTERED[1]: "id:image"}  # made from one image


@dataclass
class SharedClock:
    seconds: float = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Client:
    """What a machine has: an offer of each service, and its lease with the time at which it ends."""

    mac: Mac
    offers: dict[int, IPv4Address] = field(default_factory=dict)
    address: IPv4Address | None = None
    until_s: float = 0.0

    @property
    def machine(self) -> str:
        return "cp1" if self.mac in CP1.macs else self.mac

    def request(self, kind: Kind, address: IPv4Address | None = None) -> LeaseRequest:
        return LeaseRequest(kind, CLIENT_ID.get(self.mac, f"hw:01:{self.mac}"), self.mac, address)


@dataclass
class Writing:
    """A verdict that is being stored, and whose it is."""

    client: Client
    verdict: LeaseGranted | LeaseClosed
    task: "asyncio.Task[LeaseDropReason | None]"
    is_awaited: bool = True  # false once its client has given the address up


clients = some.integers(0, 5)
services = some.integers(0, 1)


class TwoServices(RuleBasedStateMachine):
    """Requests to both in any order, while what they decided before is still being stored or not yet read."""

    new_url: ClassVar[Callable[[Path], str]]

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.clock = SharedClock()
        self.clients = [Client(mac) for mac in (CARD, OTHER_CARD, *UNREGISTERED)]
        self.writing: list[Writing] = []
        url = type(self).new_url(self.directory)
        self.databases = [self.run(Database.open(url)) for _ in range(2)]
        self.services = [self._service(database) for database in self.databases]

    def _service(self, database: Database) -> LeaseService:
        clock = Clock(self.clock.now, self.clock.monotonic, lambda count: bytes(count))
        events = EventBus(EventLog(database), now=clock.now)
        return LeaseService(
            LeasePolicy(POOL, LEASE_S), LeaseStore(database), hosts=lambda: HOSTS, events=events, clock=clock
        )

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        try:
            self.finish(len(self.writing))
        finally:
            for database in self.databases:
                self.run(database.close())
            self.loop.close()
            shutil.rmtree(self.directory)

    # What clients send

    @rule(service=services, number=clients)
    def discover(self, service: int, number: int) -> None:
        client = self.clients[number]
        verdict = self._decide(service, client, client.request(Kind.DISCOVER))
        if isinstance(verdict, LeaseOffered) and verdict.terms.address is not None:
            client.offers[service] = verdict.terms.address

    @rule(number=clients, service=services, is_read=some.booleans())
    def discover_while_one_probes(self, number: int, service: int, is_read: bool) -> None:
        """Send a DISCOVER to both, and accept the offer of the first; the probe of the other, which misses it, ends."""
        client, other = self.clients[number], 1 - service
        to_probe = self.services[other].decide(client.request(Kind.DISCOVER), [LAN], [OURS])
        self.discover(service, number)
        if (address := client.offers.pop(service, None)) is not None:
            self._take(service, client, client.request(Kind.SELECTING, address))
        if is_read:
            self.finish(len(self.writing))
            self.read_changed(other)
        if isinstance(to_probe, LeaseToProbe) and self._record_probe(other, client, to_probe):
            self.discover(other, number)

    @rule(service=services, number=clients)
    def discover_at_both(self, service: int, number: int) -> None:
        for each in (service, 1 - service):
            self.discover(each, number)

    # Nothing here is drawn by what a database has answered in time: an example must be the same again.

    @rule(number=clients, service=services)
    def select(self, number: int, service: int) -> None:
        """Accept an offer; the other service receives it too."""
        client = self.clients[number]
        address = client.offers.pop(service, None)
        if address is None:
            return
        self._decide(1 - service, client, client.request(Kind.SELECTING_ANOTHER, address))
        self._take(service, client, client.request(Kind.SELECTING, address))

    @rule(number=clients, service=services)
    def boot(self, number: int, service: int) -> None:
        """Request an address from both, and accept one."""
        self.discover_at_both(service, number)
        self.select(number, service)

    @rule(
        number=clients,
        kind=some.sampled_from((Kind.RENEWING, Kind.REBINDING, Kind.INIT_REBOOT, Kind.RELEASE, Kind.DECLINE)),
        service=services,
        is_for_both=some.booleans(),
    )
    def use_lease(self, number: int, kind: Kind, service: int, is_for_both: bool) -> None:
        client = self.clients[number]
        address = client.address
        if address is None:
            return
        if kind in (Kind.RELEASE, Kind.DECLINE):
            for each in self.writing:
                each.is_awaited &= each.client is not client
        if kind in (Kind.RELEASE, Kind.DECLINE) or client.until_s <= self.clock.seconds:
            client.address = None
        if client.until_s <= self.clock.seconds and kind is not Kind.INIT_REBOOT:
            return  # it has stopped using it, and begins again
        for each in (service, 1 - service) if is_for_both else (service,):
            self._take(each, client, client.request(kind, address))

    @rule(service=services)
    def request_all_again(self, service: int) -> None:
        """Request all addresses after a reboot, of a service that has read all: it has each client on record.

        It may refuse one of a client that got another of the other service: that client begins again.
        """
        self.finish(len(self.writing))
        self.read_changed(service)
        for client in self.clients:
            if client.address is not None and client.until_s > self.clock.seconds:
                verdict = self._take(service, client, client.request(Kind.INIT_REBOOT, client.address))
                assert isinstance(verdict, LeaseGranted | LeaseRefused), f"{client} gets {verdict} of {service}"

    # What the services do meanwhile

    @rule(number=some.integers(1, 3))
    def finish(self, number: int) -> None:
        """Wait until the oldest verdicts are stored."""
        for each in self.writing[:number]:
            self.run(each.task)
            self._note_ended(each)

    @rule(count=some.integers(1, 12))
    def go_on(self, count: int) -> None:
        """Let the loop run a little: a write may be in the middle of its transaction after it."""
        for _ in range(count):
            self.run(asyncio.sleep(0))
        self._note_all()

    @rule(service=services)
    def read_changed(self, service: int) -> None:
        self.run(self.services[service].read_changed(None))
        self._note_all()

    @rule(service=services)
    def sweep(self, service: int) -> None:
        self.run(self.services[service].sweep())
        self._note_all()

    @rule(seconds=some.sampled_from((1, 3, OFFER_HELD_S, REST_S, LEASE_S / 2, LEASE_S)))
    def advance(self, seconds: float) -> None:
        if seconds > TIMEOUT_S:
            self.finish(len(self.writing))
        self._note_all()
        self.clock.seconds += seconds

    # How it is done

    def _decide(self, service: int, client: Client, request: LeaseRequest) -> LeaseVerdict:
        """Decide as the listener does: a probe finds an address free that no machine uses."""
        leasing = self.services[service]
        for _ in range(3):
            verdict = leasing.decide(request, [LAN], [OURS])
            if not isinstance(verdict, LeaseToProbe):
                break
            if not self._record_probe(service, client, verdict):
                break
        return verdict

    def _record_probe(self, service: int, client: Client, to_probe: LeaseToProbe) -> bool:
        used_by = next((each for each in self.clients if self._uses(each, to_probe.address)), None)
        holder = used_by.mac if used_by is not None and used_by is not client else None
        return self.services[service].record_probe(client.request(Kind.DISCOVER), to_probe.address, holder)

    def _uses(self, client: Client, address: IPv4Address) -> bool:
        return client.address == address and client.until_s > self.clock.seconds and client.mac != CARD

    def _take(self, service: int, client: Client, request: LeaseRequest) -> LeaseVerdict:
        verdict = self._decide(service, client, request)
        if isinstance(verdict, LeaseGranted | LeaseClosed):
            task = self.loop.create_task(self.services[service].keep(verdict))
            self.writing.append(Writing(client, verdict, task))
        elif isinstance(verdict, LeaseRefused) and client.address == request.address:
            client.address = None
        return verdict

    def _note_all(self) -> None:
        for each in [each for each in self.writing if each.task.done()]:
            self._note_ended(each)

    def _note_ended(self, ended: Writing) -> None:
        """Send the ACK, if there is one: no other machine may have the address now."""
        if ended in self.writing:
            self.writing.remove(ended)
        if ended.task.result() is not None or isinstance(ended.verdict, LeaseClosed) or not ended.is_awaited:
            return
        address, client = ended.verdict.lease.address, ended.client
        for other in self.clients:
            has_it = other.address == address and other.until_s > self.clock.seconds
            assert not has_it or other.machine == client.machine, f"{address} is leased to {other} and to {client}"
            if has_it and other is not client:
                other.address = None  # the host has moved to this card
        client.address, client.until_s = address, self.clock.seconds + LEASE_S


def run_with(new_url: Callable[[Path], str], *, examples: int, steps: int) -> None:
    machine = type("Services", (TwoServices,), {"new_url": staticmethod(new_url)})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),  # shrinking takes minutes; the calls are printed anyway
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_no_order_of_requests_writes_and_readings_leases_an_address_twice():
    run_with(lambda directory: f"sqlite+aiosqlite:///{directory}/netboot.db", examples=60, steps=40)


@pytest.mark.integration
@pytest.mark.usefixtures("key_of_the_test")
def test_no_order_leases_an_address_twice_on_postgresql(postgresql_server: Server):
    run_with(lambda _directory: postgresql_server.new_database(), examples=6, steps=60)


@pytest.mark.proof
@pytest.mark.integration
@pytest.mark.usefixtures("key_of_the_test")
def test_no_order_of_many_leases_an_address_twice_on_postgresql(postgresql_server: Server):
    run_with(lambda _directory: postgresql_server.new_database(), examples=40, steps=80)

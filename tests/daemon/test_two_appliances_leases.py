"""Two appliances that lease addresses of one pool, on one PostgreSQL, and clients that take the first offer.

Each appliance has a wire of its own, on which the clients send the same: in another order, and not all of it arrives.
"""

import random
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fixtures.appliances import write_two
from fixtures.daemon import wait_until
from fixtures.files import OPEN_SETTINGS
from fixtures.packets import SERVER, Reply, message, opts, reply_in
from fixtures.rack import Rack, a_rack
from fixtures.wire import Wire, from_dhcp_server
from postgresql import Server
from scapy.layers.inet import UDP

pytestmark = pytest.mark.integration

SECOND_SERVER = "192.0.2.11"
FIRST_OF_POOL, POOL_SIZE, CLIENTS = 100, 60, 24
SETTINGS = f"""\
{OPEN_SETTINGS}
log: {{format: json}}
dhcp: {{mode: reservation, pool: [192.0.2.{FIRST_OF_POOL}-192.0.2.{FIRST_OF_POOL + POOL_SIZE - 1}]}}
"""
LOST, SEED = 0.1, 17
TRIES_AGAIN_S = 1.5  # a client that gets no answer
LONGEST_S = 60.0  # for all clients
OFFER, ACK, NAK = b"\2", b"\5", b"\6"


@dataclass
class Client:
    """One simulated client: sends a DISCOVER, requests the address of the first offer, and begins again after a NAK."""

    chaddr: bytes
    address: str = ""  # once it was acknowledged
    offered: str = ""
    xid: int = 0
    waits_until_s: float = 0.0


@dataclass
class Clients:
    """All clients, with their wires to both appliances; `granted` has each address with all who ever got it."""

    wires: Sequence[Wire]
    of: dict[bytes, Client] = field(default_factory=dict)
    granted: dict[str, set[bytes]] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))

    def add(self, count: int) -> None:
        for number in range(len(self.of), len(self.of) + count):
            chaddr = bytes.fromhex("525400dd00") + bytes([number])
            self.of[chaddr] = Client(chaddr)

    def run(self, until: int) -> None:
        """Go on until so many clients have an address."""
        deadline = time.monotonic() + LONGEST_S
        while len(self.served) < until:
            assert time.monotonic() < deadline, f"{len(self.served)} of {until} clients have an address"
            self._discover([each for each in self.of.values() if not each.address])
            for wire in self.chance.sample(self.wires, len(self.wires)):
                for frame in wire.received():
                    if UDP in frame and from_dhcp_server(frame):
                        self._take(reply_in(frame))
            time.sleep(0.002)

    @property
    def served(self) -> list[Client]:
        return [each for each in self.of.values() if each.address]

    def restart(self) -> dict[bytes, set[str]]:
        """Let all clients request their address after a reboot, until both have acknowledged it; return what was.

        A client repeats its request (RFC 2131 §4.1). An appliance that has not read yet what the other one leased does
        not answer it (§4.3.2).
        """
        requesting = {self._next_xid(): client for client in self.served}
        found: dict[bytes, set[str]] = {}
        waiting = {(xid, wire) for xid in requesting for wire in range(len(self.wires))}
        for xid, client in requesting.items():
            client.xid, client.waits_until_s = xid, 0.0

        def acknowledged() -> bool | None:
            for client in self._due([each for xid, each in requesting.items() if {(xid, 0), (xid, 1)} & waiting]):
                more = [(50, bytes(map(int, client.address.split("."))))]
                packet = message(opts(kind=3, more=more), xid=client.xid, chaddr=client.chaddr)
                for wire in self.wires:
                    wire.send(packet, mac=client.chaddr)
            for number, wire in enumerate(self.wires):
                for frame in wire.received():
                    if UDP in frame and from_dhcp_server(frame) and (reply := reply_in(frame)).xid in requesting:
                        assert reply.options[53] == ACK, f"{reply.chaddr[:6].hex(':')} is refused {address_in(reply)}"
                        found.setdefault(reply.chaddr[:6], set()).add(address_in(reply))
                        waiting.discard((reply.xid, number))
            return True if not waiting else None

        wait_until(acknowledged, failed=lambda: f"not acknowledged: {[(requesting[x], wire) for x, wire in waiting]}")
        return found

    def _discover(self, clients: Sequence[Client]) -> None:
        due = self._due(clients)
        for client in due:
            client.xid, client.offered = self._next_xid(), ""
        self._send({each.chaddr: message(opts(), xid=each.xid, chaddr=each.chaddr) for each in due})

    def _due(self, clients: Sequence[Client]) -> list[Client]:
        """Return the clients that send now; each waits for an answer after that."""
        now_s = time.monotonic()
        due = [each for each in clients if each.waits_until_s <= now_s]
        for client in due:
            client.waits_until_s = now_s + TRIES_AGAIN_S * (1 + self.chance.random())
        return due

    def _take(self, reply: Reply) -> None:
        client = self.of[reply.chaddr[:6]]
        kind, address = reply.options[53], address_in(reply)
        if kind == ACK:  # also a late one counts: the appliance has leased the address
            self.granted.setdefault(address, set()).add(client.chaddr)
        if reply.xid != client.xid or client.address:
            return
        if kind == OFFER and not client.offered:
            client.offered = address
            more = [(54, reply.options[54]), (50, reply.header[8])]
            request = message(opts(kind=3, more=more), xid=client.xid, chaddr=client.chaddr)
            self._send({client.chaddr: request})
        elif kind == ACK:
            client.address = address
        elif kind == NAK:
            client.waits_until_s = 0.0

    def _send(self, packets: dict[bytes, bytes]) -> None:
        """Send each client's packet to both, to each in another order; some are lost."""
        for wire in self.wires:
            for chaddr in self.chance.sample(sorted(packets), len(packets)):
                if self.chance.random() >= LOST:
                    wire.send(packets[chaddr], mac=chaddr)

    def _next_xid(self) -> int:
        return self.chance.getrandbits(32)


def address_in(reply: Reply) -> str:
    return ".".join(map(str, reply.header[8]))


@pytest.fixture
def racks(tmp_path: Path, postgresql_server: Server) -> Iterator[tuple[Rack, Rack]]:
    directories = write_two(tmp_path, postgresql_server.new_database(), SETTINGS)
    with a_rack(directories[0], SERVER) as first, a_rack(directories[1], SECOND_SERVER) as second:
        for rack in (first, second):
            rack.start()
        yield first, second


def granted(rack: Rack) -> set[tuple[str, str]]:
    """Read what both granted, from the events in the store: address and MAC."""
    events = rack.api("/api/v1/activity?event=lease.granted&limit=1000")
    return {(each["data"]["address"], each["mac"]) for each in events}


def assert_each_has_its_own(clients: Clients, pool: Collection[str]) -> None:
    assert [address for address, holders in clients.granted.items() if len(holders) > 1] == []
    assert len({each.address for each in clients.served}) == len(clients.served)
    assert {each.address for each in clients.served} <= set(pool)


def test_no_address_is_leased_twice_also_when_one_is_killed_and_started_again(racks: tuple[Rack, Rack]):
    pool = [f"192.0.2.{FIRST_OF_POOL + number}" for number in range(POOL_SIZE)]
    clients = Clients([rack.wire for rack in racks])
    clients.add(CLIENTS)
    clients.run(CLIENTS // 2)
    racks[0].kill()
    clients.run(CLIENTS)
    assert_each_has_its_own(clients, pool)

    racks[0].start()
    clients.add(CLIENTS)
    clients.run(2 * CLIENTS)

    assert_each_has_its_own(clients, pool)
    # Each has received the REQUESTs that take a lease of the other one, which is no foreign server.
    assert [rack.api("/api/v1/status")["other_servers"] for rack in racks] == [[], []]
    assert clients.restart() == {each.chaddr: {each.address} for each in clients.served}
    stored = granted(racks[0])
    assert stored
    assert len({address for address, _mac in stored}) == len(stored)

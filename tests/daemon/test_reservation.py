"""The running daemon as the LAN's only DHCP server, byte by byte: two cards of a host, relays and their subnets."""

from collections.abc import Iterator

import pytest
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.packets import ADDRESS, RELAY, SERVER, message, opts, vector
from fixtures.rack import Rack, a_rack
from fixtures.wire import Wire
from scapy.layers.inet import UDP

pytestmark = pytest.mark.integration

SETTINGS = f"""\
{OPEN_SETTINGS}
log: {{level: debug, format: json}}
dhcp:
  mode: reservation
  pool: [{{range: 198.51.100.100-198.51.100.120, network: 198.51.100.0/24, router: 198.51.100.1}}]
"""
HOSTS = """\
cluster: {name: rackone, init: cp1}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/vda}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:aa:bb:01, network: {address: 192.0.2.101/24}}
  w1: {role: worker, mac: [52:54:00:aa:bb:11, 52:54:00:aa:bb:12], network: {address: 192.0.2.111/24}}
  ib1:
    role: worker
    mac: 80:00:00:48:fe:80:00:00:00:00:00:00:b8:ce:f6:03:00:31:33:3e
    network: {address: 192.0.2.113/24}
"""
OFFER, ACK, NAK = b"\2", b"\5", b"\6"


@pytest.fixture(scope="module")
def leasing_rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    directory = write_files(tmp_path_factory.mktemp("leasing"), settings=SETTINGS, hosts=HOSTS)
    write_boot_files(directory / "boot")
    with a_rack(directory) as rack:
        rack.add_client_address(ADDRESS)
        rack.add_route(f"{RELAY}/32", ADDRESS)
        rack.start()
        yield rack


@pytest.fixture
def wire(leasing_rack: Rack) -> Iterator[Wire]:
    wire = leasing_rack.lan.wire()
    yield wire
    wire.close()


def test_the_offer_to_one_card_is_held_while_the_other_requests_one(wire: Wire):
    offered = wire.query(vector("two-cards-1-discover-a"))
    assert (offered.options[53], offered.xid) == (OFFER, 0x1001)

    wire.send(vector("two-cards-2-discover-b"))
    assert wire.receive(lambda frame: frame[UDP].sport == 67, timeout_s=1.5) is None

    granted = wire.query(vector("two-cards-3-request-a"))
    assert (granted.options[53], granted.options[54], granted.xid) == (ACK, bytes(map(int, SERVER.split("."))), 0x1001)


@pytest.mark.parametrize("name", ["infiniband-client-id", "infiniband-guid8"])
def test_an_infiniband_port_has_one_identity_and_the_address_of_its_host(wire: Wire, name: str):
    reply = wire.query(vector(name))

    assert (reply.options[53], reply.options[12]) == (OFFER, b"ib1")
    assert reply.header[8] == bytes((192, 0, 2, 113))
    assert reply.header[1:3] == tuple(vector(name)[1:3])


UNKNOWN = bytes.fromhex("525400999999")
FAR_NETWORK = bytes((198, 51, 100, 0))


@pytest.mark.parametrize(
    ("giaddr", "more"),
    [
        pytest.param(RELAY, [(82, b"\1\4eth0")], id="the-relay's-own-address"),
        pytest.param(ADDRESS, [(82, b"\1\4eth0\5\4" + FAR_NETWORK)], id="link-selection"),
        pytest.param(ADDRESS, [(118, FAR_NETWORK)], id="subnet-selection"),
    ],
)
def test_a_pool_behind_a_relay_is_found_by_the_subnet_that_is_stated(
    wire: Wire, giaddr: str, more: list[tuple[int, bytes]]
):
    datagram = message(opts(more=more), giaddr=giaddr, chaddr=UNKNOWN, hops=1)

    reply = wire.query(datagram, source=(giaddr, 67), to=(SERVER, 67))

    assert reply.way == (SERVER, 67, giaddr, 67)
    assert reply.header[8][:3] == FAR_NETWORK[:3]
    assert (reply.options[1], reply.options[3]) == (b"\xff\xff\xff\0", bytes((198, 51, 100, 1)))
    assert reply.name == b"snponly.efi"
    assert [(code, reply.options[code]) for code, _ in more] == more
    assert list(reply.options)[-1] == (82 if more[0][0] == 82 else 67)


def test_a_subnet_that_no_pool_has_gets_no_answer(leasing_rack: Rack, wire: Wire):
    before = leasing_rack.log.count("no-address-for-client")

    wire.send(
        message(opts(more=[(82, b"\5\4\xac\x10\0\0")]), giaddr=ADDRESS, chaddr=UNKNOWN),
        source=(ADDRESS, 67),
        to=(SERVER, 67),
    )

    assert wire.receive(lambda frame: frame[UDP].sport == 67, timeout_s=1.0) is None
    assert leasing_rack.log.count("no-address-for-client") == before + 1


def test_a_host_that_gets_no_address_is_refused_under_its_name(leasing_rack: Rack, wire: Wire):
    datagram = message(opts(), chaddr=bytes.fromhex("525400aabb01"), giaddr=RELAY)

    wire.send(datagram, source=(RELAY, 67), to=(SERVER, 67))

    leasing_rack.wait_for_log("dhcp.boot_refused")
    reply = leasing_rack.lines("dhcp.boot_refused")
    assert [(each["host"], each["reason"]) for each in reply] == [("cp1", "other-network")]
    assert "see where it is plugged in" in reply[0]["cure"]

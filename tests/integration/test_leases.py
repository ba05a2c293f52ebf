"""The LAN's only DHCP server with foreign clients: busybox' udhcpc, ISC's dhclient, scapy; read by tshark."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import wait_until, written
from fixtures.packets import options_of
from integration.conftest import two_wires
from integration.served import Served, serving
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

pytestmark = pytest.mark.integration

MAC, W1, W2, FAR = (f"52:54:00:aa:bb:{n}" for n in ("01", "02", "03", "05"))
UNKNOWN, SECOND_UNKNOWN = "52:54:00:aa:bb:99", "52:54:00:aa:bb:98"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
SETTINGS = """\
network: {interfaces: [s0, s1]}
dhcp: {mode: reservation, router: 192.0.2.9, nameservers: [192.0.2.8], domain: rack.example.org, POOL}
"""
POOL = "pool: [192.0.2.200-192.0.2.209]"
EDK2 = [("vendor_class_id", b"PXEClient:Arch:00007:UNDI:003001"), (93, b"\0\7"), (97, b"\0" + bytes(range(16)))]

Start = Callable[..., Served]


@pytest.fixture
def start(lan: Any, tmp_path: Path) -> Iterator[Start]:
    """Start a daemon for one test, with a pool or another setting in its place."""
    make_bare(lan)
    with ExitStack() as stop:
        yield lambda setting=POOL: stop.enter_context(serving(tmp_path, lan.server, settings_with(setting)))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Served]]:
    """One LAN and one daemon with a pool, for tests whose machines do not meet."""
    with two_wires() as lan, serving(tmp_path_factory.mktemp("shared"), lan.server, settings_with(POOL)) as served:
        yield lan, served


@pytest.fixture
def quiet(shared: tuple[Any, Served]) -> tuple[Any, Served]:
    """The shared ones, with no address on the machines' side."""
    make_bare(shared[0])
    return shared


def settings_with(setting: str) -> str:
    return SETTINGS.replace(", POOL", f", {setting}" if setting else "")


def make_bare(lan: Any) -> None:
    lan.ip(lan.client, "addr", "flush", "dev", "c0")
    lan.ip(lan.client, "link", "set", "c0", "address", MAC)


class Machine:
    """A machine that speaks DHCP by scapy, from a MAC of its own."""

    def __init__(self, lan: Any, mac: str) -> None:
        self.wire, self.mac = lan.wire("c0"), mac
        self.xid = int.from_bytes(os.urandom(4), "big")

    def say(self, kind: str, *options: Any, ciaddr: str = "0.0.0.0", to: str = "", ether: str = EVERYBODY) -> None:
        raw = bytes.fromhex(self.mac.replace(":", ""))
        message = BOOTP(op=1, chaddr=raw, xid=self.xid, ciaddr=ciaddr)
        message /= DHCP(options=[("message-type", kind), *options, "end"])
        self.wire.send(bytes(message), source=(ciaddr, 68), to=(to or "255.255.255.255", 67), ether=ether)

    def hears(self, timeout_s: float = 2.0) -> Any:
        """Wait for the next answer to this machine; None if none comes."""
        while (frame := self.wire.receive(timeout_s=timeout_s)) is not None:
            if frame[BOOTP].xid == self.xid:
                return frame
        return None

    def opts(self, kind: str, *options: Any, **where: str) -> Any:
        self.say(kind, *options, **where)
        return self.hears()

    def leases(self, *options: Any) -> str:
        """Get an address, from DISCOVER to ACK."""
        offer = self.opts("discover", *options)
        ack = self.selects(offer, *options)
        assert reported(ack)["message-type"] == 5
        return str(ack[BOOTP].yiaddr)

    def selects(self, offer: Any, *options: Any) -> Any:
        named = [("server_id", reported(offer)["server_id"]), ("requested_addr", offer[BOOTP].yiaddr)]
        return self.opts("request", *named, *options)


def reported(frame: Any) -> dict[Any, Any]:
    """The options of an answer by scapy's names."""
    assert frame is not None, "no answer came"
    options = [each for each in frame[DHCP].options if isinstance(each, tuple)]
    return {each[0]: each[1] if len(each) == 2 else each[1:] for each in options}


# Foreign clients

UDHCPC_SCRIPT = """\
#!/bin/sh
case $1 in
bound|renew) ip addr flush dev $interface; ip addr add $ip/$mask dev $interface;;
deconfig) ip addr flush dev $interface;;
esac
env | grep -E '^(ip|mask|router|dns|domain|hostname|lease|serverid|broadcast)=' | sort > {directory}/$1.new
mv {directory}/$1.new {directory}/$1
"""


@contextmanager
def udhcpc(namespace: str, interface: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run busybox' client; it writes what it got to `bound` and `renew`."""
    script = directory / "udhcpc.sh"
    script.write_text(UDHCPC_SCRIPT.replace("{directory}", str(directory)))
    script.chmod(0o755)
    command = ["ip", "netns", "exec", namespace, "busybox", "udhcpc", "-f", "-i", interface, "-s", str(script)]
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield client
    finally:
        client.kill()
        client.wait(10)


def test_udhcpc_gets_its_hosts_address_renews_it_and_gives_it_back(quiet: tuple[Any, Served], tmp_path: Path) -> None:
    lan, served = quiet

    with udhcpc(lan.client, "c0", tmp_path) as client:
        assert written(tmp_path / "bound").splitlines() == [
            "broadcast=192.0.2.255",
            "dns=192.0.2.2 192.0.2.3",
            "domain=rack.example.org",
            "hostname=cp1",
            "ip=192.0.2.101",
            "lease=3600",
            "mask=24",
            "router=192.0.2.1",
            "serverid=192.0.2.10",
        ]
        assert served.leases()["192.0.2.101"] == (MAC, "bound")
        client.send_signal(signal.SIGUSR1)
        assert "ip=192.0.2.101" in written(tmp_path / "renew")
        served.wait_for("lease.answered", answer="ack", state="renewing", address="192.0.2.101")
        client.send_signal(signal.SIGUSR2)
        served.wait_for("lease.released", address="192.0.2.101", host="cp1")

    assert served.leases()["192.0.2.101"] == (MAC, "released")


def test_dhclient_gets_a_lease_comes_back_to_it_and_is_refused_another(
    quiet: tuple[Any, Served], tmp_path: Path
) -> None:
    lan, served = quiet
    lan.ip(lan.client, "link", "set", "c0", "address", W1)
    leases = tmp_path / "dhclient.leases"

    def answers() -> list[tuple[str, str, str]]:
        lines = [line for line in served.lines("lease.answered") if line["mac"] == W1 and line["answer"] != "offer"]
        return [(line["answer"], line["state"], line["address"]) for line in lines]

    def dhclient(*, until: list[tuple[str, str, str]]) -> None:
        # fmt: off
        client = subprocess.Popen(
            ["ip", "netns", "exec", lan.client, "dhclient", "-4", "-d", "-cf", "/dev/null", "-sf", "/bin/true",
             "-lf", str(leases), "-pf", str(tmp_path / "pid"), "c0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        # fmt: on
        try:
            wait_until(lambda: answers() == until or None)
            wait_until(lambda: "fixed-address 192.0.2.102;" in leases.read_text() or None)
        finally:
            client.kill()
            client.wait(10)

    leases.write_text("")
    first, back = ("ack", "selecting", "192.0.2.102"), ("ack", "init-reboot", "192.0.2.102")
    dhclient(until=[first])
    dhclient(until=[first, back])
    leases.write_text(leases.read_text().replace("fixed-address 192.0.2.102", "fixed-address 192.0.2.77"))
    dhclient(until=[first, back, ("nak", "init-reboot", "192.0.2.77"), first])


@contextmanager
def far_lan(lan: Any) -> Iterator[str]:
    """A network behind a router with dnsmasq as its relay: `f0` in a namespace of its own, FAR's MAC."""
    far = f"{lan.client}f"
    subprocess.run(["ip", "netns", "add", far], check=True, timeout=10)
    try:
        lan.ip(lan.client, "link", "add", "r0", "type", "veth", "peer", "name", "f0", "netns", far)
        lan.ip(far, "link", "set", "f0", "address", FAR)
        lan.ip(far, "link", "set", "f0", "up")
        lan.ip(lan.client, "link", "set", "r0", "up")
        lan.ip(lan.client, "addr", "add", "203.0.113.1/24", "dev", "r0")
        lan.ip(lan.server, "route", "add", "203.0.113.0/24", "via", "198.51.100.1")
        forward = ["ip", "netns", "exec", lan.client, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        subprocess.run(forward, check=True, timeout=10)
        # fmt: off
        relay = subprocess.Popen(
            ["ip", "netns", "exec", lan.client, "dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null",
             "--dhcp-relay=203.0.113.1,198.51.100.10", "--user=root", "--log-facility=-", "--pid-file="],
            stderr=subprocess.PIPE, text=True,
        )
        # fmt: on
        try:
            assert relay.stderr is not None
            assert any("DHCP relay from" in line for line in relay.stderr)
            yield far
        finally:
            relay.terminate()
            relay.communicate(timeout=10)
    finally:
        subprocess.run(["ip", "netns", "del", far], check=False, timeout=10)


def test_behind_dnsmasqs_relay_udhcpc_gets_its_lease_and_renews_it_straight_from_the_server(
    lan: Any, start: Start, tmp_path: Path
) -> None:
    served = start()

    with far_lan(lan) as far, udhcpc(far, "f0", tmp_path) as client:
        assert "ip=203.0.113.105" in written(tmp_path / "bound")
        lan.ip(far, "route", "add", "default", "via", "203.0.113.1")
        client.send_signal(signal.SIGUSR1)
        served.wait_for("lease.answered", answer="ack", state="renewing", address="203.0.113.105", iface="s1")
        assert "ip=203.0.113.105" in written(tmp_path / "renew")


# What firmware receives

LEASE = ["lease_time", "renewal_time", "rebinding_time", "subnet_mask", "router", "name_server", "hostname", "domain"]
LEASE_AND_BOOT = ["message-type", "server_id", *LEASE, "broadcast_address", "vendor_class_id"]


def hears_lease_and_boot(cp1: Machine) -> None:
    offer = cp1.opts("discover", *EDK2)
    ack = cp1.selects(offer, *EDK2)

    for answer, kind in ((offer, 2), (ack, 5)):
        assert (answer[Ether].dst, answer[IP].src, answer[IP].dst) == (EVERYBODY, "192.0.2.10", "255.255.255.255")
        assert (answer[BOOTP].yiaddr, answer[BOOTP].siaddr) == ("192.0.2.101", "192.0.2.10")
        assert list(reported(answer))[: len(LEASE_AND_BOOT)] == LEASE_AND_BOOT
        assert (reported(answer)["message-type"], reported(answer)["vendor_class_id"]) == (kind, b"PXEClient")
        assert {43, 97} <= options_of(bytes(answer[UDP].payload)).keys()


def test_firmware_gets_its_lease_and_its_boot_in_one_answer(quiet: tuple[Any, Served]) -> None:
    lan, served = quiet

    hears_lease_and_boot(Machine(lan, MAC))

    assert served.leases()["192.0.2.101"] == (MAC, "bound")


def test_frames_lease_as_well_as_sockets_do(lan: Any, start: Start) -> None:
    start("listen: packet")

    hears_lease_and_boot(Machine(lan, MAC))


def test_whatever_a_stage_calls_itself_a_registered_host_is_its_mac(quiet: tuple[Any, Served]) -> None:
    w2 = Machine(quiet[0], W2)

    leased = [w2.leases(*options) for options in ([], [(61, b"\0uuid")], [(61, b"\1\x52\x54\0\xaa\xbb\1")], EDK2)]

    assert leased == ["192.0.2.103"] * 4


def test_inform_is_answered_at_the_clients_address_without_a_lease(quiet: tuple[Any, Served]) -> None:
    lan, _ = quiet
    lan.ip(lan.client, "addr", "add", "192.0.2.60/24", "dev", "c0")

    ack = Machine(lan, W2).opts("inform", ciaddr="192.0.2.60", to="192.0.2.10", ether=lan.server_mac("s0"))

    assert (ack[IP].dst, ack[BOOTP].ciaddr, ack[BOOTP].yiaddr) == ("192.0.2.60", "192.0.2.60", "0.0.0.0")
    assert {"subnet_mask", "router", "name_server"} <= reported(ack).keys()
    assert not {"lease_time", "renewal_time", "rebinding_time"} & reported(ack).keys()


def test_a_host_behind_a_relay_gets_the_address_of_its_own_network_and_only_there(quiet: tuple[Any, Served]) -> None:
    lan, served = quiet
    lan.ip(lan.client, "addr", "add", "203.0.113.1/32", "dev", "c1")
    lan.ip(lan.server, "route", "add", "203.0.113.0/24", "dev", "s1")
    wire = lan.wire("c1")
    relayed = BOOTP(op=1, hops=1, giaddr="203.0.113.1", chaddr=bytes.fromhex(FAR.replace(":", "")), xid=7)
    relayed /= DHCP(options=[("message-type", "discover"), (82, b"\x01\x04port"), "end"])

    here = Machine(lan, FAR)
    here.say("discover")
    served.wait_for("dhcp.ignored", reason="other-network", mac=FAR)
    assert here.hears(timeout_s=0.1) is None
    wire.send(bytes(relayed), source=("203.0.113.1", 67), to=("198.51.100.10", 67), ether=lan.server_mac("s1"))
    offer = wire.receive()

    assert (offer[IP].src, offer[IP].dst, offer[UDP].dport) == ("198.51.100.10", "203.0.113.1", 67)
    assert (offer[BOOTP].yiaddr, reported(offer)["router"]) == ("203.0.113.105", "203.0.113.1")
    assert bytes(offer[UDP].payload).rstrip(b"\0").endswith(b"\x52\x06\x01\x04port\xff")


def test_tshark_finds_no_fault_in_any_answer(quiet: tuple[Any, Served], tmp_path: Path) -> None:
    lan, _ = quiet
    w2 = Machine(lan, W2)

    offer = w2.opts("discover", *EDK2)
    ack = w2.selects(offer, *EDK2)
    nak = w2.opts("request", ("requested_addr", "10.0.0.1"), (61, b"\0uuid"))
    plain = Machine(lan, "52:54:00:aa:bb:97").opts("discover", ("hostname", b"x"))
    wrpcap(str(tmp_path / "answers.pcap"), [offer, ack, nak, plain])

    # fmt: off
    read = subprocess.run(
        ["tshark", "-r", str(tmp_path / "answers.pcap"), "-T", "fields", "-e", "dhcp.option.dhcp", "-e", "dhcp.ip.your",
         "-e", "_ws.malformed", "-e", "_ws.expert.message"],
        check=True, capture_output=True, text=True, timeout=30,
    )
    # fmt: on
    assert read.stdout.splitlines() == [
        "2\t192.0.2.103\t\t",
        "5\t192.0.2.103\t\t",
        "6\t0.0.0.0\t\t",
        f"2\t{plain[BOOTP].yiaddr}\t\t",
    ]


# Never an address twice


def test_a_declined_address_rests_and_the_client_gets_another(quiet: tuple[Any, Served]) -> None:
    lan, served = quiet
    unregistered = Machine(lan, "52:54:00:aa:bb:96")
    first = unregistered.leases()

    unregistered.say("decline", ("requested_addr", first), ("server_id", "192.0.2.10"))
    served.wait_for("lease.declined", address=first)

    assert unregistered.leases() not in (first, "192.0.2.101", "192.0.2.102", "192.0.2.103")
    assert served.leases()[first][1] == "declined"


def test_an_unregistered_machine_gets_nothing_without_a_pool(lan: Any, start: Start) -> None:
    served = start("")
    unregistered = Machine(lan, UNKNOWN)

    unregistered.say("discover")

    served.wait_for("dhcp.ignored", reason="no-address-for-client", mac=UNKNOWN)
    assert unregistered.hears(timeout_s=0.1) is None


def test_a_lease_survives_the_power_cut_of_the_server_and_a_full_pool_is_reported_once(lan: Any, start: Start) -> None:
    served = start("pool: [192.0.2.200-192.0.2.201]")
    first = Machine(lan, UNKNOWN).leases()

    served.kill()
    served.start()

    assert (first, Machine(lan, SECOND_UNKNOWN).leases()) == ("192.0.2.200", "192.0.2.201")
    assert Machine(lan, UNKNOWN).leases() == "192.0.2.200"
    for _ in range(2):
        Machine(lan, "52:54:00:aa:bb:97").say("discover")
    wait_until(lambda: len([x for x in served.lines("dhcp.ignored") if x["reason"] == "pool-exhausted"]) == 2 or None)
    assert len(served.lines("lease.pool_exhausted")) == 1


def test_an_address_in_use_is_never_leased_and_is_reported(lan: Any, start: Start) -> None:
    served = start()
    lan.ip(lan.client, "link", "set", "c0", "address", "52:54:00:00:00:77")
    lan.ip(lan.client, "addr", "add", "192.0.2.200/24", "dev", "c0")
    lan.ip(lan.client, "addr", "add", "192.0.2.101/24", "dev", "c0")

    assert Machine(lan, UNKNOWN).leases() == "192.0.2.201"
    cp1 = Machine(lan, MAC)
    cp1.say("discover")

    served.wait_for("dhcp.ignored", reason="address-in-use", mac=MAC)
    assert cp1.hears(timeout_s=0.1) is None
    for address in ("192.0.2.200", "192.0.2.101"):
        served.wait_for("lease.conflict_found", address=address, holder="52:54:00:00:00:77")

"""The LAN's only DHCP server, met by other people's clients: busybox' udhcpc, ISC's dhclient, scapy; read by tshark."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.served import Served, serving, wait_until
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

pytestmark = pytest.mark.integration

MAC, OTHER_CARD, FAR, STRANGER, SECOND_STRANGER = (f"52:54:00:aa:bb:{n}" for n in ("01", "11", "05", "99", "98"))
EVERYBODY = "ff:ff:ff:ff:ff:ff"
SETTINGS = """\
network: {interfaces: [s0, s1]}
dhcp: {mode: reservation, router: 192.0.2.9, nameservers: [192.0.2.8], domain: rack.example.org, POOL}
"""
POOL = "pool: [192.0.2.200-192.0.2.202]"
EDK2 = [("vendor_class_id", b"PXEClient:Arch:00007:UNDI:003001"), (93, b"\0\7"), (97, b"\0" + bytes(range(16)))]

Start = Callable[..., Served]


@pytest.fixture
def start(lan: Any, tmp_path: Path) -> Iterator[Start]:
    """Start the daemon, with a pool or another setting in its place."""
    running = []

    def begin(setting: str = POOL) -> Served:
        context = serving(tmp_path, lan.server, SETTINGS.replace(", POOL", f", {setting}" if setting else ""))
        running.append(context)
        return context.__enter__()

    lan.ip(lan.client, "addr", "flush", "dev", "c0")
    lan.ip(lan.client, "link", "set", "c0", "address", MAC)
    yield begin
    for context in running:
        context.__exit__(None, None, None)


class Machine:
    """A machine that speaks DHCP by scapy, from a MAC of its own."""

    def __init__(self, wire: Any, mac: str) -> None:
        self.wire, self.mac = wire, mac
        self.xid = int.from_bytes(os.urandom(4), "big")

    def say(self, kind: str, *options: Any, ciaddr: str = "0.0.0.0", to: str = "", ether: str = EVERYBODY) -> None:
        raw = bytes.fromhex(self.mac.replace(":", ""))
        message = BOOTP(op=1, chaddr=raw, xid=self.xid, ciaddr=ciaddr)
        message /= DHCP(options=[("message-type", kind), *options, "end"])
        self.wire.send(bytes(message), source=(ciaddr, 68), to=(to or "255.255.255.255", 67), ether=ether)

    def hears(self, patience_s: float = 2.0) -> Any:
        """Wait for the next answer to this machine; None where none comes."""
        while (frame := self.wire.receive(patience_s=patience_s)) is not None:
            if frame[BOOTP].xid == self.xid:
                return frame
        return None

    def asks(self, kind: str, *options: Any, **where: str) -> Any:
        self.say(kind, *options, **where)
        return self.hears()

    def leases(self, *options: Any) -> str:
        """Get an address, from DISCOVER to ACK."""
        offer = self.asks("discover", *options)
        ack = self.selects(offer, *options)
        assert told(ack)["message-type"] == 5
        return str(ack[BOOTP].yiaddr)

    def selects(self, offer: Any, *options: Any) -> Any:
        named = [("server_id", told(offer)["server_id"]), ("requested_addr", offer[BOOTP].yiaddr)]
        return self.asks("request", *named, *options)


@pytest.fixture
def machine(lan: Any) -> Callable[..., Machine]:
    return lambda mac, interface="c0": Machine(lan.wire(interface), mac)


def told(frame: Any) -> dict[Any, Any]:
    """The options of an answer by scapy's names."""
    assert frame is not None, "no answer came"
    options = [each for each in frame[DHCP].options if isinstance(each, tuple)]
    return {each[0]: each[1] if len(each) == 2 else each[1:] for each in options}


# Other people's clients

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
def udhcpc(lan: Any, directory: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run busybox' client on `c0`; it writes what it got to `bound` and `renew`."""
    script = directory / "udhcpc.sh"
    script.write_text(UDHCPC_SCRIPT.replace("{directory}", str(directory)))
    script.chmod(0o755)
    command = ["ip", "netns", "exec", lan.client, "busybox", "udhcpc", "-f", "-i", "c0", "-s", str(script), *arguments]
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield client
    finally:
        client.kill()
        client.wait(10)


def written(path: Path) -> str:
    return wait_until(lambda: path.read_text() if path.exists() else None)


def test_udhcpc_gets_its_hosts_address_renews_it_and_gives_it_back(lan: Any, start: Start, tmp_path: Path) -> None:
    served = start("")

    with udhcpc(lan, tmp_path) as client:
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
        assert served.leases() == {"192.0.2.101": (MAC, "bound")}
        client.send_signal(signal.SIGUSR1)
        assert "ip=192.0.2.101" in written(tmp_path / "renew")
        served.wait_for("lease.answered", answer="ack", state="renewing", address="192.0.2.101")
        client.send_signal(signal.SIGUSR2)
        served.wait_for("lease.released", address="192.0.2.101", host="cp1")

    assert served.leases() == {"192.0.2.101": (MAC, "released")}


def test_dhclient_gets_a_lease_comes_back_to_it_and_is_refused_another(lan: Any, start: Start, tmp_path: Path) -> None:
    served = start()
    leases = tmp_path / "dhclient.leases"

    def acks() -> list[str]:
        return [line["state"] for line in served.lines("lease.answered") if line["answer"] == "ack"]

    def dhclient(*, until: list[str]) -> None:
        # fmt: off
        client = subprocess.Popen(
            ["ip", "netns", "exec", lan.client, "dhclient", "-4", "-d", "-cf", "/dev/null", "-sf", "/bin/true",
             "-lf", str(leases), "-pf", str(tmp_path / "pid"), "c0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        # fmt: on
        try:
            wait_until(lambda: acks() == until or None)
            wait_until(lambda: "fixed-address 192.0.2.101;" in leases.read_text() or None)
        finally:
            client.kill()
            client.wait(10)

    leases.write_text("")
    dhclient(until=["selecting"])
    dhclient(until=["selecting", "init-reboot"])
    leases.write_text(leases.read_text().replace("fixed-address 192.0.2.101", "fixed-address 192.0.2.77"))
    dhclient(until=["selecting", "init-reboot", "selecting"])

    nak = served.lines("lease.answered")[-3]
    assert (nak["answer"], nak["state"], nak["address"]) == ("nak", "init-reboot", "192.0.2.77")


# What firmware hears


@pytest.mark.parametrize("listen", ["udp", "packet"])
def test_firmware_gets_its_lease_and_its_boot_in_one_answer(start: Start, machine: Any, listen: str) -> None:
    served = start(f"listen: {listen}")
    cp1 = machine(MAC)

    offer = cp1.asks("discover", *EDK2)
    ack = cp1.selects(offer, *EDK2)

    for answer, kind in ((offer, 2), (ack, 5)):
        assert (answer[Ether].dst, answer[IP].src, answer[IP].dst) == (EVERYBODY, "192.0.2.10", "255.255.255.255")
        assert (answer[BOOTP].yiaddr, answer[BOOTP].siaddr) == ("192.0.2.101", "192.0.2.10")
        codes = [each[0] if isinstance(each, tuple) else each for each in answer[DHCP].options]
        lease = ["lease_time", "renewal_time", "rebinding_time", "subnet_mask", "router", "name_server", "hostname"]
        lease += ["domain", "broadcast_address"]
        boot = ["vendor_class_id", "pxe_client_machine_identifier", "vendor_specific"]
        assert [code for code in codes if code != "pad"][: 2 + len(lease)] == ["message-type", "server_id", *lease]
        assert told(answer)["message-type"] == kind
        assert told(answer)["vendor_class_id"] == b"PXEClient"
        assert set(boot) <= set(map(str, codes)) | {"pxe_client_machine_identifier"}
    assert served.leases() == {"192.0.2.101": (MAC, "bound")}


def test_whatever_a_stage_calls_itself_a_registered_host_is_its_mac(start: Start, machine: Any) -> None:
    start()
    cp1 = machine(MAC)

    leased = [cp1.leases(*options) for options in ([], [(61, b"\0uuid")], [(61, b"\1\x52\x54\0\xaa\xbb\1")], EDK2)]

    assert leased == ["192.0.2.101"] * 4


def test_a_stranger_gets_nothing_without_a_pool_and_a_host_of_another_network_neither(
    start: Start, machine: Any
) -> None:
    served = start("")

    for mac, reason in ((STRANGER, "no-address-for-client"), (FAR, "other-network")):
        asks = machine(mac)
        asks.say("discover")
        served.wait_for("dhcp.ignored", reason=reason, mac=mac)
        assert asks.hears(patience_s=0.1) is None


def test_a_lease_survives_the_power_cut_of_the_server(start: Start, machine: Any) -> None:
    served = start()
    first = machine(STRANGER).leases()

    served.kill()
    served.start()

    assert (first, machine(SECOND_STRANGER).leases()) == ("192.0.2.200", "192.0.2.201")
    assert machine(STRANGER).leases() == "192.0.2.200"


def test_an_address_that_somebody_has_is_never_given_and_a_person_is_told(lan: Any, start: Start, machine: Any) -> None:
    served = start()
    lan.ip(lan.client, "link", "set", "c0", "address", "52:54:00:00:00:77")
    lan.ip(lan.client, "addr", "add", "192.0.2.200/24", "dev", "c0")
    lan.ip(lan.client, "addr", "add", "192.0.2.101/24", "dev", "c0")

    assert machine(STRANGER).leases() == "192.0.2.201"
    cp1 = machine(MAC)
    cp1.say("discover")

    served.wait_for("dhcp.ignored", reason="address-in-use", mac=MAC)
    assert cp1.hears(patience_s=0.1) is None
    for address in ("192.0.2.200", "192.0.2.101"):
        served.wait_for("lease.conflict_found", address=address, holder="52:54:00:00:00:77")


def test_a_declined_address_rests_and_the_client_gets_another(start: Start, machine: Any) -> None:
    served = start()
    stranger = machine(STRANGER)
    first = stranger.leases()

    stranger.say("decline", ("requested_addr", first), ("server_id", "192.0.2.10"))
    served.wait_for("lease.declined", address=first)

    assert stranger.leases() == "192.0.2.201"
    assert served.leases()[first][1] == "declined"


def test_a_pool_that_is_full_is_told_once_and_the_next_machine_waits(start: Start, machine: Any) -> None:
    served = start("pool: [192.0.2.200]")
    machine(STRANGER).leases()

    for _ in range(2):
        machine(SECOND_STRANGER).say("discover")
    wait_until(lambda: len([x for x in served.lines("dhcp.ignored") if x["reason"] == "pool-exhausted"]) == 2 or None)

    assert len(served.lines("lease.pool_exhausted")) == 1


def test_inform_is_answered_at_the_address_that_asks_without_a_lease(lan: Any, start: Start, machine: Any) -> None:
    start("")
    lan.ip(lan.client, "addr", "add", "192.0.2.60/24", "dev", "c0")

    ack = machine(MAC).asks("inform", ciaddr="192.0.2.60", to="192.0.2.10", ether=lan.server_mac("s0"))

    assert (ack[IP].dst, ack[BOOTP].ciaddr, ack[BOOTP].yiaddr) == ("192.0.2.60", "192.0.2.60", "0.0.0.0")
    assert {"subnet_mask", "router", "name_server"} <= told(ack).keys()
    assert not {"lease_time", "renewal_time", "rebinding_time"} & told(ack).keys()


def test_a_machine_behind_a_relay_gets_the_address_of_its_own_network(lan: Any, start: Start, machine: Any) -> None:
    start()
    lan.ip(lan.client, "addr", "add", "203.0.113.1/32", "dev", "c1")
    lan.ip(lan.server, "route", "add", "203.0.113.0/24", "dev", "s1")
    wire = lan.wire("c1")
    relayed = BOOTP(op=1, hops=1, giaddr="203.0.113.1", chaddr=bytes.fromhex(FAR.replace(":", "")), xid=7)
    relayed /= DHCP(options=[("message-type", "discover"), (82, b"\x01\x04port"), "end"])

    wire.send(bytes(relayed), source=("203.0.113.1", 67), to=("198.51.100.10", 67), ether=lan.server_mac("s1"))
    offer = wire.receive()

    assert (offer[IP].src, offer[IP].dst, offer[UDP].dport) == ("198.51.100.10", "203.0.113.1", 67)
    assert (offer[BOOTP].yiaddr, told(offer)["router"]) == ("203.0.113.105", "203.0.113.1")
    assert bytes(offer[UDP].payload).rstrip(b"\0").endswith(b"\x52\x06\x01\x04port\xff")


def test_tshark_finds_no_fault_in_any_answer(start: Start, machine: Any, tmp_path: Path) -> None:
    start()
    cp1, stranger = machine(MAC), machine(STRANGER)

    offer = cp1.asks("discover", *EDK2)
    ack = cp1.selects(offer, *EDK2)
    nak = cp1.asks("request", ("requested_addr", "10.0.0.1"), (61, b"\0uuid"))
    plain = stranger.asks("discover", ("hostname", b"x"))
    wrpcap(str(tmp_path / "answers.pcap"), [offer, ack, nak, plain])

    # fmt: off
    read = subprocess.run(
        ["tshark", "-r", str(tmp_path / "answers.pcap"), "-T", "fields", "-e", "dhcp.option.dhcp", "-e", "dhcp.ip.your",
         "-e", "_ws.malformed", "-e", "_ws.expert.message"],
        check=True, capture_output=True, text=True, timeout=30,
    )
    # fmt: on
    assert read.stdout.splitlines() == [
        "2\t192.0.2.101\t\t",
        "5\t192.0.2.101\t\t",
        "6\t0.0.0.0\t\t",
        "2\t192.0.2.200\t\t",
    ]

"""What the doctor reports of a firewall is what it does to real packets, and its cure opens it."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from doctor.box.conftest import Computer
from fixtures.lan import Lan, a_lan
from netns import inside
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from netboot.doctor.box.box_facts import BoxFacts, NotCheckedError
from netboot.doctor.box.firewall.firewall_checks import check_firewall
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.settings.settings import Settings

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parent / "samples"
WAIT_S = 0.25
SERVER, CLIENT = "192.0.2.10", "192.0.2.77"
ALL = {"DHCP requests", "UEFI's boot requests", "TFTP requests", "TFTP acknowledgements", "HTTP"}
BASE = "type filter hook input priority filter; policy"


def chain(*rules: str, policy: str = "drop", more: str = "") -> str:
    lines = "\n".join(rules)
    return f"table inet filter {{\n{more}\nchain input {{\n{BASE} {policy};\n{lines}\n}}\n}}\n"


@dataclass
class Box:
    """A computer with a firewall, and a machine on its LAN."""

    lan: Lan

    def run(self, *command: str, text: str | None = None) -> None:
        prefix = ["ip", "netns", "exec", self.lan.server]
        subprocess.run([*prefix, *command], input=text, text=True, check=True, capture_output=True, timeout=20)

    def findings(self) -> list[DoctorFinding]:
        served = {"s0": IPv4Interface(f"{SERVER}/24")}
        with inside(self.lan.server):
            return list(check_firewall(BoxFacts(), Settings(), served))

    def dropped(self) -> set[str]:
        """Return which arriving packets the doctor reports as dropped."""
        found = " ".join(each.sentence for each in self.findings() if each.level is Level.PROBLEM)
        return {what for what in ALL if what in found}

    def arrived(self) -> set[str]:
        """Send a packet of each kind, and return which of them the computer's sockets receive."""
        found = {what for what, port in (("UEFI's boot requests", 4011),) if self._receives(port)}
        found |= {"DHCP requests"} if self._receives(67, is_broadcast=True) else set()
        found |= {"HTTP"} if self._connects(8080) else set()
        return found | self._transfers()

    def _receives(self, port: int, *, is_broadcast: bool = False) -> bool:
        with closing(self._socket(self.lan.server, "0.0.0.0", port)) as receiver:
            if is_broadcast:
                self._broadcast(port)
            else:
                with closing(self._socket(self.lan.client, CLIENT, 0)) as sender:
                    sender.sendto(b"x", (SERVER, port))
            return _received(receiver) is not None

    def _broadcast(self, port: int) -> None:
        frame = Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=port)
        with inside(self.lan.client), closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as wire:
            wire.bind(("c0", 0))
            wire.send(bytes(frame / b"x"))

    def _connects(self, port: int) -> bool:
        with inside(self.lan.server):
            listener = socket.create_server(("0.0.0.0", port))
        with inside(self.lan.client), closing(listener):
            try:
                socket.create_connection((SERVER, port), timeout=WAIT_S).close()
            except OSError:
                return False
        return True

    def _transfers(self) -> set[str]:
        """Send a request to port 69, answer it from another port, and acknowledge that answer."""
        with (
            closing(self._socket(self.lan.server, "0.0.0.0", 69)) as requests,
            closing(self._socket(self.lan.server, SERVER, 0)) as transfer,
            closing(self._socket(self.lan.client, CLIENT, 0)) as machine,
        ):
            machine.sendto(b"request", (SERVER, 69))
            transfer.sendto(b"data", machine.getsockname())
            if _received(machine) is None:
                return set()
            machine.sendto(b"acknowledgement", transfer.getsockname())
            kinds = (("TFTP requests", requests), ("TFTP acknowledgements", transfer))
            return {what for what, receiver in kinds if _received(receiver) is not None}

    def _socket(self, namespace: str, address: str, port: int) -> socket.socket:
        with inside(namespace):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        made.settimeout(WAIT_S)
        return made


def _received(receiver: socket.socket) -> bytes | None:
    try:
        return receiver.recv(100)
    except TimeoutError:
        return None


@pytest.fixture
def box() -> Iterator[Box]:
    with a_lan((f"{SERVER}/24", f"{CLIENT}/24")) as lan:
        yield Box(lan)


NFT = {
    "no rules": "",
    "only ssh": chain("ct state established,related accept", "tcp dport 22 accept"),
    "all that is needed": chain(
        "ct state vmap { established : accept, related : accept, invalid : drop }",
        'iifname "s*" udp dport { 67, 69, 4011 } accept',
        'iifname { "eth9", "s0" } meta l4proto tcp th dport 8000-8090 accept',
    ),
    "the transfer's own port is closed": chain(
        "udp dport { 67, 69, 4011 } accept", "tcp dport 8080 accept", "udp sport 53 accept"
    ),
    "another interface": chain('iifname "eth9" udp dport { 67, 69, 4011 } accept', "tcp dport != 22 accept"),
    "a set and a jump": chain(
        "ct state established accept",
        "udp dport @ports accept",
        "tcp dport 1-9000 jump web",
        more="set ports { type inet_service; flags interval; elements = { 60-70 }; }\n"
        "chain web { tcp dport 8080 ip saddr 192.0.2.0/24 return\n drop\n }",
    ),
    "a goto does not return": chain(
        "ct state established accept", "udp dport 69 goto more", "udp dport 69 accept", more="chain more { counter\n }"
    ),
    "no broadcasts": chain("meta pkttype broadcast drop", "ip daddr 192.0.2.1 drop", policy="accept"),
    "by the type of the address": chain("fib daddr type broadcast counter drop", policy="accept"),
    "a reset": chain("tcp dport 8080 reject with tcp reset", policy="accept"),
    "only one network": chain("ip saddr 10.0.0.0/8 accept", "ip saddr != 0.0.0.0 accept"),
    "by interface and port": chain(
        "ct state established accept",
        "iifname . udp dport { s0 . 69, eth9 . 4011 } accept",
        "iifname vmap { eth9 : accept, s0 : jump lan }",
        more="chain lan { ip protocol tcp accept\n }",
    ),
    "a second table": chain(policy="accept")
    + "table ip other { chain late { type filter hook input priority 10; policy accept;\n"
    "udp dport 4011 drop\n }\n }\n",
    "before the routing": "table ip raw { chain pre { type filter hook prerouting priority raw; policy accept;\n"
    'iifname "s0" udp dport 69 drop\n }\n }\n',
    "IPv6 only": "table ip6 filter { chain input { " + BASE + " drop;\n }\n }\n"
    "table inet other { chain input { " + BASE + " accept;\n meta nfproto ipv6 drop\n ip6 saddr ::/0 drop\n }\n }\n",
    "a table that is dormant": "table inet filter { flags dormant\n chain input { " + BASE + " drop;\n }\n }\n",
    "on the device": "table netdev early { chain in { type filter hook ingress device s0 priority 0; policy accept;\n"
    "tcp dport 8080 drop\n }\n }\n",
}


@pytest.mark.parametrize("rules", NFT.values(), ids=NFT.keys())
def test_what_nftables_drops_is_what_does_not_arrive(box: Box, rules: str):
    box.run("nft", "-f", "-", text=rules)

    assert box.dropped() == ALL - box.arrived()


IPTABLES = {
    "accepted by port": [
        "-P INPUT DROP",
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A INPUT -i s0 -p udp -m multiport --dports 67:69,4011 -j ACCEPT",
        "-A INPUT ! -i eth9 -p tcp --dport 8080 -j ACCEPT",
    ],
    "a chain as ufw has it": [
        "-P INPUT DROP",
        "-N ufw-user-input",
        "-N ufw-not-local",
        "-A INPUT -m addrtype --dst-type LOCAL -j ufw-user-input",
        "-A INPUT -j ufw-not-local",
        "-A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN",
        "-A ufw-not-local -j DROP",
        "-A ufw-user-input -p udp --dport 69 -j ACCEPT",
    ],
    "only one network": ["-A INPUT ! -s 192.0.2.0/24 -j DROP", "-A INPUT -p tcp -j REJECT --reject-with tcp-reset"],
}


@pytest.mark.parametrize("commands", IPTABLES.values(), ids=IPTABLES.keys())
def test_what_iptables_drops_is_what_does_not_arrive(box: Box, commands: list[str]):
    for command in commands:
        box.run("iptables", *command.split())

    assert box.dropped() == ALL - box.arrived()


FIREWALLD_CURE = (
    "firewall-cmd --permanent --zone=public --add-port=67/udp --add-port=69/udp --add-port=4011/udp "
    "--add-port=8080/tcp && firewall-cmd --reload"
)
UFW_CURE = "ufw allow in on s0 proto udp to any port 67,69,4011 && ufw allow in on s0 proto tcp to any port 8080"


@pytest.mark.parametrize(
    ("sample", "load", "cures"),
    [
        ("firewalld-1.3.3.json", ("nft", "-j", "-f", "-"), [FIREWALLD_CURE]),
        ("firewalld-1.3.3-open.json", ("nft", "-j", "-f", "-"), []),
        ("ufw-0.36.2.txt", ("iptables-restore",), [UFW_CURE]),
        ("ufw-0.36.2-open.txt", ("iptables-restore",), []),
    ],
)
def test_rules_of_firewalld_and_ufw_are_judged_and_the_cure_is_what_opened_them(
    box: Box, sample: str, load: tuple[str, ...], cures: list[str]
):
    box.run(*load, text=(SAMPLES / sample).read_text())

    assert box.dropped() == ALL - box.arrived()
    assert [finding.cure for finding in box.findings()] == cures


def test_the_zone_of_the_interface_is_opened(computer: Computer):
    computer.with_program("nft", f"cat {SAMPLES}/firewalld-1.3.3.json").with_program("firewall-cmd", "echo rack")

    [finding] = check_firewall(computer.inputs().facts, Settings(), {"s0": IPv4Interface(f"{SERVER}/24")})

    assert (finding.cure or "").startswith("firewall-cmd --permanent --zone=rack --add-port=67/udp")


def test_a_computer_without_a_program_that_reads_the_rules_is_not_checked(computer: Computer):
    facts = BoxFacts(computer.root, str(computer.root / "bin"))

    with pytest.raises(NotCheckedError, match="nft is not installed to read the rules"):
        list(check_firewall(facts, Settings(), {}))


def test_iptables_alone_does_not_show_the_rules_of_nftables(computer: Computer):
    computer.with_program("iptables-save", "echo 'iptables-save v1.8.9 (nf_tables)'")
    facts = BoxFacts(computer.root, f"{computer.root}/bin:/bin")

    with pytest.raises(NotCheckedError, match="install nftables"):
        list(check_firewall(facts, Settings(), {}))


def test_the_rules_of_the_legacy_iptables_are_read(computer: Computer):
    saved = "# Generated by iptables-save v1.8.7\n*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    computer.with_file("saved", saved).with_program(
        "iptables-save", f'[ "$1" = --version ] && echo "v1.8.7 (legacy)" || cat {computer.root}/saved'
    )
    facts = BoxFacts(computer.root, f"{computer.root}/bin:/bin")

    [finding] = check_firewall(facts, Settings(), {"s0": IPv4Interface(f"{SERVER}/24")})

    assert (finding.cure or "").startswith("iptables -t filter -I INPUT -i s0 -p udp -m multiport --dports 67,69,4011")


def test_filters_that_are_not_evaluated_are_named(box: Box, computer: Computer):
    rules = "table bridge b { chain in { type filter hook input priority 0; policy drop;\n}\n}\n"
    box.run("nft", "-f", "-", text=rules)
    (computer.root / "sys/class/net/s0/bridge").mkdir(parents=True)
    computer.with_program("ip", """echo '[{"ifname":"s0","xdp":{"mode":1,"prog":{"id":42,"name":"xdp_pass"}}}]'""")
    computer.with_program("tc", "echo 'filter protocol all pref 1 bpf chain 0 handle 0x1 cil_from_netdev'")
    facts = BoxFacts(computer.root, f"{computer.root}/bin:/usr/sbin:/usr/bin:/bin")
    with inside(box.lan.server):
        found = list(check_firewall(facts, Settings(), {"s0": IPv4Interface(f"{SERVER}/24")}))

    assert [(each.level, each.evidence) for each in found] == [
        (Level.NOTE, ("nft list table bridge b",)),
        (Level.NOTE, ("ip link show dev s0",)),
        (Level.NOTE, ("tc filter show dev s0 ingress",)),
    ]


def test_rules_that_may_not_be_read_are_not_checked(computer: Computer):
    # what nft 1.0.6 prints without CAP_NET_ADMIN
    refused = "netlink: Error: cache initialization failed: Operation not permitted"
    computer.with_program("nft", f"echo '{refused}' >&2; exit 1")

    with pytest.raises(NotCheckedError, match="Operation not permitted"):
        list(check_firewall(computer.inputs().facts, Settings(), {}))


@pytest.mark.parametrize(
    "rules", [NFT["only ssh"], NFT["the transfer's own port is closed"], chain(), NFT["before the routing"]]
)
def test_the_cure_opens_nftables(box: Box, rules: str):
    box.run("nft", "-f", "-", text=rules)
    for finding in box.findings():
        assert finding.cure is not None
        box.run("sh", "-ec", finding.cure.partition("; add the rules")[0])

    assert (box.findings(), box.arrived()) == ([], ALL)


def test_the_cure_opens_iptables(box: Box):
    box.run("iptables", "-P", "INPUT", "DROP")
    box.run("iptables", "-P", "OUTPUT", "DROP")
    for finding in box.findings():
        assert finding.cure is not None
        box.run("sh", "-ec", finding.cure.partition("; save them")[0])

    assert (box.findings(), box.arrived()) == ([], ALL)


def test_a_finding_has_the_rule_as_evidence_and_the_command(box: Box):
    box.run("nft", "-f", "-", text=chain("udp dport 69 counter drop", policy="accept"))

    [finding] = box.findings()

    assert (finding.check, finding.level) == ("box.firewall", Level.PROBLEM)
    assert finding.sentence == ("the firewall (table inet filter, chain input) drops TFTP requests (UDP 69) on s0")
    assert len(finding.evidence) == 1
    assert finding.evidence[0].startswith("table inet filter, chain input: udp dport 69 counter packets ")
    assert (finding.cure or "").startswith(
        """nft 'insert rule inet filter input iifname "s0" udp dport { 69 } accept'; add"""
    )


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("udp dport 69 limit rate over 5/second drop", id="limit"),
        pytest.param("udp dport 69 meta mark 7 drop", id="mark"),
        pytest.param("udp dport 69 ip saddr 192.0.2.64/26 drop", id="some-machines"),
        pytest.param("udp dport 69 quota over 1 mbytes drop", id="quota"),
        pytest.param("udp dport 69 ip ttl < 5 drop", id="field"),
    ],
)
def test_what_cannot_be_evaluated_is_a_note_and_never_open(box: Box, rule: str):
    box.run("nft", "-f", "-", text=chain(rule, policy="accept"))

    [finding] = box.findings()

    assert finding.level is Level.NOTE
    assert "TFTP requests (UDP 69)" in finding.sentence
    assert ": udp dport 69 " in finding.evidence[0] or ": ip saddr " in finding.evidence[0]


def test_a_port_that_a_container_publishes_is_a_problem(box: Box):
    rules = "table ip nat { chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
    box.run("nft", "-f", "-", text=rules + "tcp dport 8080 dnat to 172.17.0.2:80\n }\n }\n")

    [finding] = box.findings()

    assert (finding.level, "sends to another program or computer HTTP (TCP 8080)" in finding.sentence) == (
        Level.PROBLEM,
        True,
    )


def test_answers_that_an_output_chain_drops_are_a_problem(box: Box):
    rules = (
        "table ip f { chain out { type filter hook output priority 0; policy drop;\nct state established accept\n }\n }"
    )
    box.run("nft", "-f", "-", text=rules)

    [finding] = box.findings()

    assert finding.sentence.endswith("chain out) drops DHCP offers (UDP 67), TFTP data on s0")

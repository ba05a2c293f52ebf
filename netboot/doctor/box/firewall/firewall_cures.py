"""The command that makes a firewall permit packets: of firewalld, ufw, nft or iptables, whichever has the rules."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from netboot.doctor.box.box_facts import BoxFacts
from netboot.doctor.box.firewall.boot_packets import BootPacket, Direction
from netboot.doctor.box.firewall.filter_rules import FilterChain, FilterTable

_ESTABLISHED: Final = "established"
_UNPRIVILEGED: Final = 1024  # the first port that the kernel may choose


def cure_of(facts: BoxFacts, table: FilterTable, chain: FilterChain, packets: Sequence[BootPacket]) -> str:
    """Return the command that permits these packets of one interface and direction in this chain."""
    if table.program == "nft" and table.name == "firewalld":
        return _of_firewalld(facts, packets)
    if any(name.startswith("ufw-") for name in table.chains):
        return _of_ufw(packets)
    if table.program == "nft":
        commands = " && ".join(_nft_commands(table, chain, packets))
        return f"{commands}; add the rules to the file that sets them at the start, as /etc/nftables.conf"
    commands = " && ".join(_iptables_commands(table, chain, packets))
    return f"{commands}; save them for the next start, as iptables-save > /etc/iptables/rules.v4"


def _of_firewalld(facts: BoxFacts, packets: Sequence[BootPacket]) -> str:
    interface = packets[0].interface
    zone = (facts.output("firewall-cmd", f"--get-zone-of-interface={interface}", statuses=(0, 2)) or "").strip()
    if not zone or " " in zone:
        zone = (facts.output("firewall-cmd", "--get-default-zone") or "").strip() or "public"
    ports = " ".join(f"--add-port={port}/{protocol}" for protocol, port in _named(packets))
    return f"firewall-cmd --permanent --zone={shlex.quote(zone)} {ports} && firewall-cmd --reload"


def _of_ufw(packets: Sequence[BootPacket]) -> str:
    way = "in" if packets[0].direction is Direction.ARRIVES else "out"
    interface = packets[0].interface
    rules = [
        f"ufw allow {way} on {shlex.quote(interface)} proto {protocol} to any port {_listed(ports)}"
        for protocol, ports in _by_protocol(packets)
    ]
    return " && ".join(rules) if rules else "ufw reload"


def _nft_commands(table: FilterTable, chain: FilterChain, packets: Sequence[BootPacket]) -> Iterator[str]:
    arrives = packets[0].direction is Direction.ARRIVES
    begin = f"insert rule {table.family} {table.name} {chain.name}"
    begin += f' {"iifname" if arrives else "oifname"} "{packets[0].interface}"'
    for protocol, ports in _by_protocol(packets):
        side = "dport" if arrives else "sport"
        yield shlex.join(["nft", f"{begin} {protocol} {side} {{ {_listed(ports, ', ')} }} accept"])
    for state in _states_of_transfers(packets):
        which = "ct state established" if state == _ESTABLISHED else f"udp sport {_UNPRIVILEGED}-65535"
        yield shlex.join(["nft", f"{begin} {which} accept"])


def _iptables_commands(table: FilterTable, chain: FilterChain, packets: Sequence[BootPacket]) -> Iterator[str]:
    arrives = packets[0].direction is Direction.ARRIVES
    begin = f"iptables -t {table.name} -I {chain.name} {'-i' if arrives else '-o'} {shlex.quote(packets[0].interface)}"
    for protocol, ports in _by_protocol(packets):
        yield f"{begin} -p {protocol} -m multiport --{'d' if arrives else 's'}ports {_listed(ports)} -j ACCEPT"
    for state in _states_of_transfers(packets):
        which = "-m conntrack --ctstate ESTABLISHED" if state == _ESTABLISHED else f"-p udp --sport {_UNPRIVILEGED}:"
        yield f"{begin} {which} -j ACCEPT"


def _states_of_transfers(packets: Sequence[BootPacket]) -> list[str]:
    """List the states of TFTP's packets on a port of their own."""
    return list(dict.fromkeys(each.state for each in packets if not each.port))


def _named(packets: Sequence[BootPacket]) -> list[tuple[str, int]]:
    """List protocol and port of the packets, each once, UDP first."""
    found = dict.fromkeys((each.protocol, each.port) for each in packets if each.port)
    return sorted(found, key=lambda each: (each[0] != "udp", each[1]))


def _by_protocol(packets: Sequence[BootPacket]) -> Iterator[tuple[str, list[int]]]:
    named = _named(packets)
    for protocol in dict.fromkeys(protocol for protocol, _ in named):
        yield protocol, [port for each, port in named if each == protocol]


def _listed(ports: Sequence[int], between: str = ",") -> str:
    return between.join(map(str, ports))

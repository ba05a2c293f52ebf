"""Reads the tables of iptables from `iptables-save`: iptables(8), iptables-extensions(8)."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network
from typing import Final

from netboot.doctor.box.firewall.boot_packets import BootPacket, Direction, Ports
from netboot.doctor.box.firewall.filter_rules import Condition, FilterChain, FilterRule, FilterTable, FilterVerdict
from netboot.doctor.box.firewall.nft_conditions import never_evaluated
from netboot.doctor.box.firewall.packet_values import any_of, interface_is, negated, network_within, ports_within

_TARGETS: Final = {
    "ACCEPT": FilterVerdict.ACCEPT,
    "DROP": FilterVerdict.DROP,
    "REJECT": FilterVerdict.DROP,
    "RETURN": FilterVerdict.RETURN,
    **dict.fromkeys(("DNAT", "REDIRECT", "TPROXY"), FilterVerdict.DIVERT),
    **dict.fromkeys(("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TRACE"), FilterVerdict.CONTINUE),
    **dict.fromkeys(("CHECKSUM", "TCPMSS", "DSCP", "TOS", "AUDIT", "SECMARK", "CONNSECMARK"), FilterVerdict.CONTINUE),
}
_IGNORED: Final = frozenset({"-m", "--match", "--comment"})  # with their values
_OF_TARGET: Final = frozenset({"-j", "-g"})


def read_saved_tables(saved: str) -> list[FilterTable]:
    """Return the tables of what iptables-save prints."""
    tables: list[FilterTable] = []
    chains: dict[str, FilterChain] = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            chains = {}
            tables.append(FilterTable("iptables", "ip", line[1:].strip(), chains))
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            is_nat = tables[-1].name == "nat"
            hook = None if policy == "-" else name.lower()
            ends = FilterVerdict.DROP if policy == "DROP" else FilterVerdict.ACCEPT
            chains[name] = FilterChain(name, [], hook, ends, is_nat)
        elif line.startswith("-A "):
            _, name, *words = shlex.split(line)
            chain = chains[name]
            rules = [*chain.rules, _rule(line, words)]
            chains[name] = FilterChain(name, rules, chain.hook, chain.policy, chain.is_nat)
    return tables


def _rule(text: str, words: Sequence[str]) -> FilterRule:
    conditions: list[Condition] = []
    verdict, target = FilterVerdict.CONTINUE, ""
    for option, values, is_negated in _options(words):
        if option in _OF_TARGET:
            target = values[0]
            jump = FilterVerdict.JUMP if option == "-j" else FilterVerdict.GOTO
            verdict = _TARGETS.get(target, jump)  # a jump to a chain that does not exist cannot be evaluated
            break
        if option not in _IGNORED:
            conditions.append(_condition(option, values, is_negated=is_negated))
    return FilterRule(text, tuple(conditions), verdict, target)


def _options(words: Sequence[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Yield each option with its values, and whether `!` precedes it."""
    is_negated = False
    at = 0
    while at < len(words):
        if words[at] == "!":
            is_negated = True
            at += 1
            continue
        end = at + 1
        while end < len(words) and not words[end].startswith("-") and words[end] != "!":
            end += 1
        yield words[at], list(words[at + 1 : end]), is_negated
        is_negated = False
        at = end


def _condition(option: str, values: Sequence[str], *, is_negated: bool) -> Condition:
    compare = _COMPARISONS.get(option)
    if compare is None or not values:
        return never_evaluated

    def holds(packet: BootPacket) -> bool | None:
        found = compare(packet, values[0])
        return negated(found) if is_negated else found

    return holds


def _arrives_on(packet: BootPacket, value: str) -> bool:
    return packet.direction is Direction.ARRIVES and interface_is(packet.interface, value)


def _leaves_by(packet: BootPacket, value: str) -> bool:
    return packet.direction is Direction.LEAVES and interface_is(packet.interface, value)


def _ports(value: str) -> Iterator[Ports]:
    for part in value.split(","):
        first, colon, last = part.partition(":")
        yield int(first or 0), int(last or 65535) if colon else int(first)


def _has_port(ports: Ports, value: str) -> bool | None:
    return any_of(ports_within(ports, wanted) for wanted in _ports(value))


def _within(addresses: IPv4Network, value: str) -> bool | None:
    return any_of(network_within(addresses, IPv4Network(each, strict=False)) for each in value.split(","))


def _is_of_type(packet: BootPacket, value: str) -> bool:
    kind = "LOCAL" if packet.direction is Direction.ARRIVES else "UNICAST"
    return ("BROADCAST" if packet.is_broadcast else kind) in value.split(",")


_COMPARISONS: Final[dict[str, Callable[[BootPacket, str], bool | None]]] = {
    "-i": _arrives_on,
    "-o": _leaves_by,
    "-p": lambda packet, value: value in (packet.protocol, "all"),
    "-s": lambda packet, value: _within(packet.source, value),
    "-d": lambda packet, value: _within(packet.destination, value),
    "--dport": lambda packet, value: _has_port(packet.destination_ports, value),
    "--dports": lambda packet, value: _has_port(packet.destination_ports, value),
    "--sport": lambda packet, value: _has_port(packet.source_ports, value),
    "--sports": lambda packet, value: _has_port(packet.source_ports, value),
    "--ctstate": lambda packet, value: packet.state.upper() in value.split(","),
    "--state": lambda packet, value: packet.state.upper() in value.split(","),
    "--dst-type": _is_of_type,
    "--pkt-type": lambda packet, value: value == ("broadcast" if packet.is_broadcast else "unicast"),
}

"""Conditions of nftables rules: libnftables-json(5), nft(8). What is not read here cannot be evaluated."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from netboot.doctor.box.firewall.boot_packets import BootPacket, Direction, Ports
from netboot.doctor.box.firewall.filter_rules import Condition
from netboot.doctor.box.firewall.packet_values import any_of, interface_is, negated, network_within, ports_within

_NUMBERS: Final = {"1": "icmp", "6": "tcp", "17": "udp"}  # of IP protocols
_ETHERTYPES: Final = frozenset({"ip", "0x0800", "2048"})
_OTHER_PROTOCOLS: Final = frozenset(
    {"ip6", "icmp", "icmpv6", "igmp", "arp", "sctp", "dccp", "udplite", "ah", "esp", "comp", "vlan"}
)
Sets = Mapping[str, list[Any]]  # the elements of the sets and maps of a table, by name
_Compare = Callable[[Any], bool | None]


def condition(match: Mapping[str, Any], sets: Sets) -> Condition:
    """Return the condition of a `match` statement."""

    def holds(packet: BootPacket) -> bool | None:
        return _holds(match, sets, packet)

    return holds


def is_equal(left: Any, value: Any, sets: Sets) -> Condition:
    """Return the condition that a value of the packet is equal to that of one element of a verdict map."""
    return condition({"op": "==", "left": left, "right": value}, sets)


def never_evaluated(_packet: BootPacket) -> bool | None:
    return None


def _holds(match: Mapping[str, Any], sets: Sets, packet: BootPacket) -> bool | None:
    left, operator = match["left"], match["op"]
    parts = left["concat"] if isinstance(left, dict) and "concat" in left else [left]
    if any(_has_other_protocol(part, packet) for part in parts):
        return False  # the rule also compares the protocol, whatever its operator
    if operator in ("<", ">", "<=", ">="):
        return _ordered(left, operator, match["right"], packet)
    if operator not in ("==", "!=", "in"):
        return None
    values = list(_elements(match["right"], sets))
    if None in values:
        return None
    found = any_of(_all_equal(parts, value, packet) for value in values)
    return negated(found) if operator == "!=" else found


def _all_equal(parts: list[Any], value: Any, packet: BootPacket) -> bool | None:
    """Compare each part of a concatenation with its part of an element."""
    wanted = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    if len(wanted) != len(parts):
        return None
    found = [_is_equal(part, each, packet) for part, each in zip(parts, wanted, strict=True)]
    if False in found:
        return False
    return None if None in found else True


def _elements(right: Any, sets: Sets) -> Iterator[Any]:
    """Yield each value of a right side; None for a set that is not known."""
    match right:
        case str() if right.startswith("@"):
            named = sets.get(right[1:])
            yield from [None] if named is None else (each for value in named for each in _elements(value, sets))
        case {"set": [*values]} | [*values]:
            for value in values:
                yield from _elements(value, sets)
        case {"set": value}:
            yield from _elements(value, sets)
        case {"elem": {"val": value}}:
            yield from _elements(value, sets)
        case _:
            yield right


def _is_equal(left: Any, value: Any, packet: BootPacket) -> bool | None:
    compare = _comparison(left, packet)
    return None if compare is None else compare(value)


def _comparison(left: Any, packet: BootPacket) -> _Compare | None:
    """Return how a value is compared with the packet's; None: the packet's is not known."""
    match left:
        case {"meta": {"key": key}}:
            return _meta(key, packet)
        case {"payload": {"protocol": "ip", "field": "saddr"}}:
            return lambda value: _address_within(packet.source, value)
        case {"payload": {"protocol": "ip", "field": "daddr"}}:
            return lambda value: _address_within(packet.destination, value)
        case {"payload": {"protocol": "ip", "field": "protocol"}}:
            return lambda value: _protocol(value) == packet.protocol
        case {"payload": {"protocol": "ip", "field": "version"}}:
            return lambda value: str(value) == "4"
        case {"payload": {"protocol": "tcp" | "udp" | "th", "field": "sport"}}:
            return lambda value: _port_within(packet.source_ports, value)
        case {"payload": {"protocol": "tcp" | "udp" | "th", "field": "dport"}}:
            return lambda value: _port_within(packet.destination_ports, value)
        case {"ct": {"key": key}}:
            return _conntrack(key, packet)
        case {"fib": {"result": "type", "flags": ["daddr"] | "daddr"}}:
            return lambda value: value == _address_type(packet)
        case _:
            return None


def _meta(key: str, packet: BootPacket) -> _Compare | None:
    arrives = packet.direction is Direction.ARRIVES
    match key:
        case "iifname" | "iif" if arrives:
            return lambda value: interface_is(packet.interface, str(value))
        case "oifname" | "oif" if not arrives:
            return lambda value: interface_is(packet.interface, str(value))
        case "iifname" | "iif" | "oifname" | "oif":
            return lambda _value: False  # it has no such interface here
        case "l4proto":
            return lambda value: _protocol(value) == packet.protocol
        case "nfproto":
            return lambda value: value in ("ipv4", 2)
        case "protocol":
            return lambda value: str(value) in _ETHERTYPES
        case "pkttype" if arrives:
            return lambda value: value == ("broadcast" if packet.is_broadcast else "host")
    return None


def _conntrack(key: str, packet: BootPacket) -> _Compare | None:
    if key == "state":
        return lambda value: value == packet.state
    return _status_is if key == "status" else None


def _status_is(value: Any) -> bool | None:
    """Return False for `dnat` and `snat`: the rule that changes an address of the packet is reported itself."""
    return False if value in ("dnat", "snat") else None


def _has_other_protocol(left: Any, packet: BootPacket) -> bool:
    match left:
        case {"payload": {"protocol": "tcp" | "udp" as protocol}}:
            return bool(protocol != packet.protocol)
        case {"payload": {"protocol": protocol}}:
            return protocol in _OTHER_PROTOCOLS
        case {"&": [inner, *_]}:
            return _has_other_protocol(inner, packet)
        case _:
            return False


def _ordered(left: Any, operator: str, bound: Any, packet: BootPacket) -> bool | None:
    match left:
        case {"payload": {"protocol": "tcp" | "udp" | "th", "field": "sport" | "dport" as name}}:
            if not isinstance(bound, int):
                return None
            ports = packet.source_ports if name == "sport" else packet.destination_ports
            wanted = {
                "<": (0, bound - 1),
                "<=": (0, bound),
                ">": (bound + 1, 65535),
                ">=": (bound, 65535),
            }
            return ports_within(ports, wanted[operator])
        case _:
            return None


def _port_within(ports: Ports, value: Any) -> bool | None:
    match value:
        case int():
            return ports_within(ports, (value, value))
        case {"range": [int(first), int(last)]}:
            return ports_within(ports, (first, last))
        case _:
            return None


def _address_within(addresses: IPv4Network, value: Any) -> bool | None:
    try:
        match value:
            case str():
                return network_within(addresses, IPv4Network(value))
            case {"prefix": {"addr": address, "len": length}}:
                return network_within(addresses, IPv4Network(f"{address}/{length}", strict=False))
            case {"range": [first, last]}:
                return _between(addresses, IPv4Address(first), IPv4Address(last))
            case _:
                return None
    except ValueError:  # an IPv6 address, or a host name
        return None


def _between(addresses: IPv4Network, first: IPv4Address, last: IPv4Address) -> bool | None:
    if first <= addresses[0] and addresses[-1] <= last:
        return True
    return False if addresses[-1] < first or last < addresses[0] else None


def _protocol(value: Any) -> str:
    return _NUMBERS.get(str(value), str(value))


def _address_type(packet: BootPacket) -> str:
    if packet.is_broadcast:
        return "broadcast"
    return "local" if packet.direction is Direction.ARRIVES else "unicast"

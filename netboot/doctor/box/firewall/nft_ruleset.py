"""Reads the tables of nftables from `nft -j list ruleset`, and the text of each rule from `nft -a list ruleset`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from netboot.doctor.box.firewall.filter_rules import Condition, FilterChain, FilterRule, FilterTable, FilterVerdict
from netboot.doctor.box.firewall.nft_conditions import Sets, condition, is_equal, never_evaluated

_FAMILIES: Final = frozenset({"ip", "inet", "netdev"})  # those that IPv4 packets for this computer pass
_NO_EFFECT: Final = frozenset(
    {"counter", "log", "notrack", "mangle", "ct helper", "ct timeout", "secmark", "comment", "set", "flow", "last"}
)
_DIVERTS: Final = frozenset({"dnat", "redirect", "tproxy", "fwd"})
_DIRECT: Final = {
    "accept": FilterVerdict.ACCEPT,
    "drop": FilterVerdict.DROP,
    "reject": FilterVerdict.DROP,
    "return": FilterVerdict.RETURN,
    "continue": FilterVerdict.CONTINUE,
}
Place = tuple[str, str, str, int]  # family, table, chain and handle of a rule
_TABLE: Final = re.compile(r"table (\S+) (\S+) \{")
_DORMANT: Final = re.compile(r"table (\S+) (\S+) \{[^\n]*\n\s+flags [^\n]*dormant")
_CHAIN: Final = re.compile(r"\s+chain (\S+) \{")
_DEVICE: Final = re.compile(r"\s+type filter hook ingress devices? (.+) priority")
_RULE: Final = re.compile(r"\s+(.+?) # handle (\d+)$")


@dataclass(slots=True)
class _Table:
    family: str
    name: str
    chains: dict[str, FilterChain] = field(default_factory=dict)
    sets: dict[str, list[Any]] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def read_tables(ruleset: str, listing: str = "") -> list[FilterTable]:
    """Return every table that an IPv4 packet for this computer may pass; `listing` has the text of the rules."""
    texts, devices = _texts(listing)
    tables: dict[tuple[str, str], _Table] = {}
    for item in json.loads(ruleset)["nftables"]:
        [(kind, value)] = item.items()
        if value.get("family") not in _FAMILIES:
            continue
        if kind == "table":
            tables[value["family"], value["name"]] = _Table(value["family"], value["name"])
            continue
        table = tables[value["family"], value["table"]]
        match kind:
            case "chain":
                place = (value["family"], value["table"], value["name"])
                table.chains[value["name"]] = _chain(value, devices.get(place, ()))
            case "set" | "map":
                table.sets[value["name"]] = list(value.get("elem", ()))
            case "rule":
                table.rules.setdefault(value["chain"], []).append(value)
            case _:
                pass  # a counter, a flow table, a helper: it drops nothing itself
    dormant = set(_DORMANT.findall(listing))  # no packet passes them; the JSON of nft 1.0.6 does not have the flag
    return [_finished(table, texts) for place, table in tables.items() if place not in dormant]


def _chain(value: Mapping[str, Any], listed_devices: tuple[str, ...]) -> FilterChain:
    devices = value.get("dev", listed_devices)  # nft before 1.0.7 leaves them out of its JSON
    return FilterChain(
        value["name"],
        hook=value.get("hook"),
        policy=FilterVerdict.DROP if value.get("policy") == "drop" else FilterVerdict.ACCEPT,
        is_nat=value.get("type") == "nat",
        devices=(devices,) if isinstance(devices, str) else tuple(devices),
    )


def _finished(table: _Table, texts: Mapping[Place, str]) -> FilterTable:
    chains = {}
    for name, chain in table.chains.items():
        rules: list[FilterRule] = []
        for rule in table.rules.get(name, ()):
            place = (table.family, table.name, name, rule["handle"])
            text = texts.get(place) or f"rule {rule['handle']}"
            rules += _rules(rule["expr"], table.sets, text)
        chains[name] = FilterChain(name, rules, chain.hook, chain.policy, chain.is_nat, chain.devices)
    return FilterTable("nft", table.family, table.name, chains)


def _rules(statements: list[Any], sets: Sets, text: str) -> Iterator[FilterRule]:
    """Yield the rule of these statements; a verdict map is one rule for each of its elements."""
    conditions: list[Condition] = []
    for statement in statements:
        kind, value = next(iter(statement.items()))
        if kind == "match":
            conditions.append(condition(value, sets))
        elif kind == "vmap":
            yield from _of_map(value, sets, tuple(conditions), text)
            return
        elif kind in _DIRECT:
            yield FilterRule(text, tuple(conditions), _DIRECT[kind])
            return
        elif kind in ("jump", "goto"):
            yield FilterRule(text, tuple(conditions), FilterVerdict(kind), value["target"])
            return
        elif kind in _DIVERTS:
            yield FilterRule(text, tuple(conditions), FilterVerdict.DIVERT)
            return
        elif kind == "xt" and value.get("type") == "target":
            yield FilterRule(text, tuple(conditions), FilterVerdict.UNKNOWN)
            return
        elif kind in ("limit", "quota", "ct count", "xt"):  # true for some packets
            conditions.append(never_evaluated)
        elif kind not in _NO_EFFECT:
            yield FilterRule(text, tuple(conditions), FilterVerdict.UNKNOWN)
            return


def _of_map(value: Mapping[str, Any], sets: Sets, conditions: tuple[Condition, ...], text: str) -> Iterator[FilterRule]:
    data = value["data"]
    elements = sets.get(data[1:]) if isinstance(data, str) else data.get("set")
    for element in elements if elements is not None else ():
        key, verdict = element
        yield from (
            FilterRule(text, (*conditions, is_equal(value["key"], key, sets)), rule.verdict, rule.target)
            for rule in _rules([verdict], sets, text)
        )
    if elements is None:
        yield FilterRule(text, conditions, FilterVerdict.UNKNOWN)


def _texts(listing: str) -> tuple[dict[Place, str], dict[tuple[str, str, str], tuple[str, ...]]]:
    """Return the text of each rule by its place, and the devices of each chain that has some."""
    found: dict[Place, str] = {}
    devices: dict[tuple[str, str, str], tuple[str, ...]] = {}
    family = table = chain = ""
    for line in listing.splitlines():
        if opened := _TABLE.match(line):
            family, table = opened.groups()
        elif opened := _CHAIN.match(line):
            chain = opened[1]
        elif hooked := _DEVICE.match(line):
            devices[family, table, chain] = tuple(re.findall(r'[^\s"{},]+', hooked[1].replace("=", " ")))
        elif rule := _RULE.match(line):
            found[family, table, chain, int(rule[2])] = rule[1]
    return found, devices

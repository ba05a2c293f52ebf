"""Finds filters that the doctor does not evaluate: of bridges, of XDP and of traffic control.

They may drop packets of machines before the rules that it evaluates, so each one is named.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from netboot.doctor.box.box_facts import BoxFacts, NotCheckedError

_BRIDGE_HOOKS: Final = frozenset({"prerouting", "input", "ingress"})


def unread_filters(facts: BoxFacts, ruleset: str | None, interface: str) -> Iterator[tuple[str, str]]:
    """Yield each filter that an interface has besides nftables' and iptables', with the command that shows it."""
    if ruleset is not None and facts.path(f"/sys/class/net/{interface}/bridge").is_dir():
        for table in _bridge_tables(json.loads(ruleset)["nftables"]):
            yield f"rules of table bridge {table}", f"nft list table bridge {table}"
    link, filters = (
        ("ip", "-j", "link", "show", "dev", interface),
        ("tc", "filter", "show", "dev", interface, "ingress"),
    )
    with suppress(NotCheckedError):
        if any("xdp" in each for each in json.loads(facts.output(*link) or "[]")):
            yield "an XDP program", f"ip link show dev {interface}"
    filters = ("tc", "filter", "show", "dev", interface, "ingress")
    with suppress(NotCheckedError):
        if facts.output(*filters):
            yield "filters of traffic control", " ".join(filters)


def _bridge_tables(items: list[Mapping[str, Any]]) -> list[str]:
    """List the tables of family bridge that filter packets for this computer."""
    chains = [item["chain"] for item in items if "chain" in item]
    return sorted(
        {each["table"] for each in chains if each["family"] == "bridge" and each.get("hook") in _BRIDGE_HOOKS}
    )

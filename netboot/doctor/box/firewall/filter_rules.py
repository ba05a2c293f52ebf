"""Rules of a firewall in one form for nftables and iptables, and what they do with a packet.

A condition that cannot be evaluated is neither true nor false: then the packet may pass, and may be dropped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from netboot.doctor.box.firewall.boot_packets import BootPacket, Direction

Condition = Callable[[BootPacket], bool | None]  # None: it cannot be evaluated
_MOST_JUMPS: Final = 16  # NFT_JUMP_STACK_SIZE of the kernel
_HOOKS: Final = {Direction.ARRIVES: ("ingress", "prerouting", "input"), Direction.LEAVES: ("output", "postrouting")}


class FilterVerdict(StrEnum):
    ACCEPT = "accept"
    DROP = "drop"
    DIVERT = "divert"  # another program or computer gets it
    CONTINUE = "continue"  # with the next rule
    RETURN = "return"  # to the chain that jumped here
    JUMP = "jump"
    GOTO = "goto"  # a jump from which nothing returns to this chain
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FilterRule:
    """What is done with a packet for which all conditions are true; `target` is the chain of a jump."""

    text: str
    conditions: tuple[Condition, ...]
    verdict: FilterVerdict
    target: str = ""

    def applies(self, packet: BootPacket) -> bool | None:
        """Return whether the conditions are true for this packet; None: at least one cannot be evaluated."""
        truth: bool | None = True
        for condition in self.conditions:
            found = condition(packet)
            if found is False:
                return False
            if found is None:
                truth = None
        return truth


@dataclass(frozen=True, slots=True)
class FilterChain:
    """A chain; `hook` is where the kernel calls it, None if only rules jump to it."""

    name: str
    rules: Sequence[FilterRule] = ()
    hook: str | None = None
    policy: FilterVerdict = FilterVerdict.ACCEPT
    is_nat: bool = False  # only the first packet of a connection passes it
    devices: tuple[str, ...] = ()  # of the hook ingress; empty: not known

    def receives(self, packet: BootPacket) -> bool:
        if self.hook not in _HOOKS[packet.direction] or (self.is_nat and packet.state == "established"):
            return False
        return self.hook != "ingress" or not self.devices or packet.interface in self.devices


@dataclass(frozen=True, slots=True)
class FilterTable:
    """The chains of one table. `program` changes it: nft or iptables."""

    program: str
    family: str
    name: str
    chains: Mapping[str, FilterChain] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"table {self.family} {self.name}" if self.program == "nft" else f"iptables, table {self.name}"


@dataclass(frozen=True, slots=True)
class FilterResult:
    """What the chain of a hook may do with a packet: each possible verdict with the rule that has it."""

    table: FilterTable
    chain: FilterChain
    packet: BootPacket
    possible: Mapping[FilterVerdict, str]
    not_evaluated: tuple[str, ...] = ()

    @property
    def verdict(self) -> FilterVerdict:
        """The only possible verdict, else `unknown`."""
        [first, *others] = self.possible
        return FilterVerdict.UNKNOWN if others else first


def filter_results(tables: Sequence[FilterTable], packet: BootPacket) -> Iterator[FilterResult]:
    """Yield what each chain that receives the packet does with it; one that drops it is enough."""
    for table in tables:
        for chain in table.chains.values():
            if chain.receives(packet):
                walk = _Walk(table, packet)
                possible = walk.through(chain, _MOST_JUMPS)
                for end in (FilterVerdict.RETURN, FilterVerdict.CONTINUE):
                    if possible.pop(end, None) is not None:
                        possible.setdefault(chain.policy, f"policy {chain.policy}")
                yield FilterResult(table, chain, packet, possible, tuple(walk.not_evaluated))


class _Walk:
    """One packet on its way through the chains of a table."""

    def __init__(self, table: FilterTable, packet: BootPacket) -> None:
        self._table, self._packet = table, packet
        self.not_evaluated: dict[str, None] = {}

    def through(self, chain: FilterChain, jumps_left: int) -> dict[FilterVerdict, str]:
        """Return the verdicts with which this chain may end, each with its rule; CONTINUE: behind its last rule."""
        ends: dict[FilterVerdict, str] = {}
        for rule in chain.rules:
            applies = rule.applies(self._packet)
            if applies is False:
                continue
            found = self._verdicts(rule, jumps_left)
            if applies is None:
                self.not_evaluated[rule.text] = None
                found.setdefault(FilterVerdict.CONTINUE, rule.text)
            goes_on = found.pop(FilterVerdict.CONTINUE, None) is not None
            ends = {**found, **ends}
            if not goes_on:
                return ends
        return {**ends, FilterVerdict.CONTINUE: ""}

    def _verdicts(self, rule: FilterRule, jumps_left: int) -> dict[FilterVerdict, str]:
        if rule.verdict not in (FilterVerdict.JUMP, FilterVerdict.GOTO, FilterVerdict.UNKNOWN):
            return {rule.verdict: rule.text}
        target = self._table.chains.get(rule.target)
        if rule.verdict is FilterVerdict.UNKNOWN or target is None or not jumps_left:
            self.not_evaluated[rule.text] = None
            return {FilterVerdict.DROP: rule.text, FilterVerdict.ACCEPT: rule.text, FilterVerdict.CONTINUE: rule.text}
        found = self.through(target, jumps_left - 1)
        back = FilterVerdict.CONTINUE if rule.verdict is FilterVerdict.JUMP else FilterVerdict.RETURN
        for end in (FilterVerdict.RETURN, FilterVerdict.CONTINUE):
            if found.pop(end, None) is not None:
                found[back] = rule.text
        return found

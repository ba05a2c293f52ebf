"""The appliances that share one store, and what each of them declares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an appliance serves, by name, each with a fingerprint of its meaning; equal texts mean equal things."""

    hosts: Mapping[str, str] = field(default_factory=dict)  # hosts, and the cluster
    content: Mapping[str, str] = field(default_factory=dict)  # boot media and releases that hosts name
    key: str = ""  # the digest of the store's key; empty: it has none that can be used
    addresses: list[str] = field(default_factory=list)  # its own on the boot LAN, which differ

    def differences(self, other: "Declaration") -> dict[str, list[str]]:
        """Return the names that differ, by part: hosts, content, key. Hosts compare only with the same key."""
        found = {"key": [] if self.key == other.key else ["the key"]}
        found["hosts"] = [] if found["key"] else _differing(self.hosts, other.hosts)
        found["content"] = _differing(self.content, other.content)
        return {part: names for part, names in found.items() if names}


@dataclass(frozen=True, slots=True)
class KnownAppliance:
    """One appliance of the store. `id` is of one run of its daemon, `place` the same for all its runs."""

    id: str
    name: str  # of its computer
    place: str
    url: str
    version: str
    declared: Declaration
    joined_at: datetime
    unseen_s: float = 0.0  # since it was seen
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class ApplianceState:
    """An appliance as an operator sees it: `differs` names what differs from the one that answers."""

    name: str
    url: str
    version: str
    joined_at: datetime
    unseen_s: float
    is_this: bool
    is_lost: bool
    differs: Mapping[str, Sequence[str]]
    problems: Sequence[str] = ()  # of `differs` and of its state, each with its cure


def _differing(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*here, *there} if here.get(name) != there.get(name))

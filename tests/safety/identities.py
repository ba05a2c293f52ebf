"""Which machines may be installed without a person: the part of the oracle for UUIDs, cards and holds.

Uses no class of netboot. A machine must be held if what it shows differs from what was recorded when its host was
installed or confirmed last; it may be held if its MAC showed two UUIDs lately; any other hold is a fault.
"""

from dataclasses import dataclass, field
from uuid import UUID

LATELY_S = 900.0


@dataclass(frozen=True)
class Known:
    """The machine that was installed or confirmed last: its card, and its UUID as far as it was shown."""

    card: str
    uuid: bytes | None


@dataclass(eq=False)
class Identities:
    """What the wire showed, and what the operator confirmed."""

    recorded: dict[str, Known] = field(default_factory=dict)  # by host
    served: dict[str, Known] = field(default_factory=dict)  # by Kickstart token
    confirmed: dict[str, object] = field(default_factory=dict)  # the arming of a host that was confirmed
    reported: dict[str, set[bytes]] = field(default_factory=dict)  # UUIDs with requests for the script of a card
    _shown: dict[str, dict[bytes, float]] = field(default_factory=dict)  # UUIDs by card, the last one last
    _before: dict[str, dict[bytes, float]] = field(default_factory=dict)  # before a restart

    def showed(self, card: str, uuid: bytes, now_s: float) -> None:
        """Note the UUID in a boot request of a card."""
        uuids = self._shown.setdefault(card, {})
        uuids.pop(uuid, None)
        uuids[uuid] = now_s

    def restarted(self) -> None:
        for card, uuids in self._shown.items():
            self._before.setdefault(card, {}).update(uuids)
        self._shown.clear()

    def shown(self, card: str, now_s: float) -> bytes | None:
        """Return the UUID that a card showed last, if that was lately and since the last restart."""
        last = list(self._shown.get(card, {}).items())[-1:]
        return next((uuid for uuid, at_s in last if now_s - at_s < LATELY_S), None)

    def is_another(self, host: str, macs: tuple[str, ...], machine: Known, arming: object, reported: bool) -> bool:
        """Return whether a person must confirm a machine before it boots the installer of its host."""
        known, is_confirmed = self.recorded.get(host), self.confirmed.get(host) is arming
        if known is None or known.card not in macs:
            return False
        differs = None not in (known.uuid, machine.uuid) and known.uuid != machine.uuid
        if is_confirmed:
            return reported and differs
        return differs or known.card != machine.card

    def may_be_held(self, host: str, card: str, served: list[Known], now_s: float) -> bool:
        """Return whether there is any cause to hold this machine, or to have it report what it is."""
        uuids = {
            uuid
            for each in (self._shown, self._before)
            for uuid, at_s in each.get(card, {}).items()
            if now_s - at_s <= LATELY_S
        }
        uuids |= self.reported.get(card, set())
        known = [*served, *([self.recorded[host]] if host in self.recorded else [])]
        others = {each.uuid for each in known if each.uuid is not None}
        return len(uuids | others) > 1 or any(each.card != card for each in known)


def uuid_in(text: str) -> bytes | None:
    """Return a UUID of the API as option 97 has it."""
    return UUID(text).bytes_le if text else None

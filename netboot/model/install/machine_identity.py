"""What a machine shows of itself beside its MAC, what is recorded of its host, and why an install is held. Pure.

A host is its MACs. UUID and serial number of its SMBIOS are evidence: firmware leaves placeholders in them, and a new
mainboard changes them. A difference identifies nobody; it holds an install until a person decides.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar, assert_never
from uuid import UUID

from netboot.model.host.mac import Mac
from netboot.model.host.placeholders import is_placeholder_serial, placeholder_uuid
from netboot.model.install.checks import InstallCheck

S = TypeVar("S", bound=StrEnum)

IDENTITY_CHECK: Final = "identity"  # of an installer: it has UUID and serial number
COMPARED: Final = 64  # characters of a serial number: iPXE reports no more of it


class HoldReason(StrEnum):
    """Why an armed install waits for a person."""

    APPROVAL = "approval"  # `install.require: approval`
    TWO_MACHINES = "two-machines"  # one MAC, and two valid UUIDs or serial numbers
    OTHER_MACHINE = "other-machine"  # another UUID or serial number than is recorded of the host
    OTHER_CARD = "other-card"  # another registered card than at the last install


class IdentitySource(StrEnum):
    """Why an identity is recorded as that of its host."""

    INSTALL = "install"  # the machine was installed
    APPROVAL = "approval"  # a person registered it
    CONFIRMATION = "confirmation"  # a person confirmed it


@dataclass(frozen=True, slots=True)
class Identity:
    """What one machine showed in one boot. `is_reported`: its own request had it; else its DHCP requests, or nothing.

    UUID and serial number are as they were shown, also if they are placeholders.
    """

    mac: Mac
    address: str = ""
    uuid: str = ""
    serial: str = ""
    switch_port: str = ""
    is_reported: bool = False

    def differences(self, other: "Identity") -> list[str]:
        """List which identifying values differ from those of `other`; a value that one of the two lacks does not."""
        found = []
        mine, theirs = uuid_key(self.uuid), uuid_key(other.uuid)
        if mine is not None and theirs is not None and mine != theirs:
            found.append(f"UUID {self.uuid} instead of {other.uuid}")
        serial, expected = serial_key(self.serial), serial_key(other.serial)
        if serial is not None and expected is not None and serial != expected:
            found.append(f"serial number {self.serial} instead of {other.serial}")
        return found

    def is_same_machine(self, other: "Identity") -> bool:
        """Return whether an identifying value is that of `other`, and none differs."""
        uuid, serial = uuid_key(self.uuid), serial_key(self.serial)
        has_same_uuid = uuid is not None and uuid == uuid_key(other.uuid)
        has_same_serial = serial is not None and serial == serial_key(other.serial)
        return (has_same_uuid or has_same_serial) and not self.differences(other)

    def completed(self, other: "Identity") -> "Identity":
        """Return it with what `other` shows and this one does not; of a machine that differs, nothing is taken."""
        if self.differences(other):
            return self
        missing = {
            name: value
            for name in ("address", "uuid", "serial", "switch_port", "is_reported")
            if (value := getattr(other, name)) and not getattr(self, name)
        }
        return replace(self, **missing) if missing else self

    def __str__(self) -> str:
        named = {"address": self.address, "UUID": self.uuid, "serial": self.serial, "switch port": self.switch_port}
        return ", ".join([f"MAC {self.mac}", *(f"{name} {value}" for name, value in named.items() if value)])


@dataclass(frozen=True, slots=True)
class RecordedIdentity:
    """The machine of a host as a person or a finished install last confirmed it."""

    identity: Identity
    at: datetime
    source: IdentitySource


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an armed install waits for a person: what its machine showed, and what was expected."""

    reason: HoldReason
    since: datetime
    shown: Identity
    expected: Identity | None = None

    @property
    def id(self) -> str:
        """Return a digest of what a person confirms, so that another hold is not confirmed by mistake."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]

    def after(self, later: "Hold") -> "Hold":
        """Return it after a later request of the MAC: completed by what that shows, if it is of the same machine.

        What DHCP requests alone showed, which any machine can forge, gives way to what the machine itself reports. What
        it reported stays.
        """
        if later.shown.is_reported and not self.shown.is_reported and later.shown.differences(self.shown):
            return replace(later, since=self.since)
        return replace(self, shown=self.shown.completed(later.shown))

    def confirmed(self, at: datetime) -> "KnownIdentity":
        """Return what is known after a person confirmed it: what the held machine showed is the host's identity."""
        return KnownIdentity(RecordedIdentity(self.shown, at, IdentitySource.CONFIRMATION), is_confirmed=True)

    @property
    def what(self) -> str:
        """The evidence in one clause."""
        shown, expected = self.shown, self.expected
        changed = "; ".join(shown.differences(expected)) if expected is not None else ""
        match self.reason:
            case HoldReason.APPROVAL:
                return f"a person confirms its first boot into the installer ({shown})"
            case HoldReason.TWO_MACHINES:
                return f"two machines have MAC {shown.mac}: {changed}"
            case HoldReason.OTHER_MACHINE:
                return f"the machine with MAC {shown.mac} shows another identity: {changed}"
            case HoldReason.OTHER_CARD:
                card = expected.mac if expected is not None else "another one"
                return f"it boots from its card {shown.mac}, and booted from {card} when it was installed last"
            case _:
                assert_never(self.reason)

    @property
    def advice(self) -> str:
        """When a person confirms, and what is due otherwise."""
        match self.reason:
            case HoldReason.APPROVAL:
                return "Confirm it if this is the machine that is to be installed; else cancel the arming."
            case HoldReason.TWO_MACHINES:
                return (
                    "Find both machines, and give one of them its own MAC. Confirm it if the machine that waits now is "
                    "the right one; else cancel the arming."
                )
            case HoldReason.OTHER_MACHINE:
                return (
                    "Confirm it if the mainboard was replaced, or if this is the right machine; else cancel the arming "
                    "and find the machine that has this MAC."
                )
            case HoldReason.OTHER_CARD:
                return (
                    "Confirm it if the card or its cable was changed on purpose; else cancel the arming and see the "
                    "boot order and the switch port."
                )
            case _:
                assert_never(self.reason)

    def cure(self, host: str) -> str:
        """State what a person does, with the commands."""
        when, _, otherwise = self.advice.rpartition("; else cancel the arming")
        then = otherwise.rstrip(".")
        return f"{when[0].lower()}{when[1:]}: netboot install confirm {host}; else netboot install cancel {host}{then}"


@dataclass(frozen=True, slots=True)
class ServedBoot:
    """The boot in which a machine got the installer's script last: the exchange of its last DISCOVER before it."""

    exchange: int  # `xid`
    at: datetime  # of the script


@dataclass(frozen=True, slots=True)
class KnownIdentity:
    """What is stored of the machine of a host. All but `recorded` is of the present arming."""

    recorded: RecordedIdentity | None = None
    served: Identity | None = None  # the machine that got the installer's script last
    is_confirmed: bool = False  # by a person
    hold: Hold | None = None
    boot: ServedBoot | None = None  # of `served`; None also if no DISCOVER of it was received

    def expected(self, macs: Collection[Mac]) -> Identity | None:
        """Return the recorded identity, unless its card is no longer one of the host's: then a person changed it."""
        recorded = self.recorded
        return recorded.identity if recorded is not None and recorded.identity.mac in macs else None

    def armed(self) -> "KnownIdentity":
        """Return it as it is with a new arming."""
        return KnownIdentity(self.recorded)

    def ended(self) -> "KnownIdentity":
        """Return it without its arming. A running installer may still report that it is done."""
        return KnownIdentity(self.recorded, self.served)

    def held(self, hold: Hold) -> "KnownIdentity":
        """Return it with a hold; one that is there does not end, and has the evidence of both."""
        return replace(self, hold=self.hold.after(hold) if self.hold is not None else hold)

    def installed(self, at: datetime) -> "KnownIdentity":
        """Return it after an install: the machine that was installed is the host's from now on."""
        if self.served is None:
            return self.ended()
        return KnownIdentity(RecordedIdentity(self.served, at, IdentitySource.INSTALL))


NOTHING_KNOWN: Final = KnownIdentity()
_CHECKED: Final = re.compile(r"UUID (\S*), serial (.*)")  # as kickstart/checks.ks.j2 writes it


def identity_in(checks: Iterable[InstallCheck], mac: Mac, address: str) -> Identity | None:
    """Return what the checks of an installer show of its machine; None if they show nothing."""
    found = next((_CHECKED.fullmatch(each.found) for each in checks if each.name == IDENTITY_CHECK), None)
    return Identity(mac, address, found[1], found[2].strip(), is_reported=True) if found else None


def uuid_key(text: str) -> int | None:
    """Return what two spellings of one UUID share; None if it identifies no machine.

    Firmware, iPXE and dmidecode show the first three fields in one of two byte orders (DMTF DSP0134 §7.2.1): both count
    as the same.
    """
    try:
        uuid = UUID(text)
    except ValueError:
        return None
    if placeholder_uuid(text) is not None:
        return None
    return min(uuid.int, UUID(bytes_le=uuid.bytes).int)


def serial_key(text: str) -> str | None:
    """Return what two spellings of one serial number share; None if it identifies no machine."""
    bare = text[:COMPARED].strip().casefold()
    return bare if bare and not is_placeholder_serial(bare) else None


def as_columns(known: KnownIdentity) -> Mapping[str, Any] | None:
    """Return what JSON can have of it; None: nothing is known."""
    if known == NOTHING_KNOWN:
        return None
    recorded, hold = known.recorded, known.hold
    return {
        "recorded": recorded
        and {"identity": asdict(recorded.identity), "at": recorded.at.isoformat(), "source": recorded.source.value},
        "served": known.served and asdict(known.served),
        "is_confirmed": known.is_confirmed,
        "hold": hold
        and {
            "reason": hold.reason.value,
            "since": hold.since.isoformat(),
            "shown": asdict(hold.shown),
            "expected": hold.expected and asdict(hold.expected),
        },
        "boot": known.boot and {"exchange": known.boot.exchange, "at": known.boot.at.isoformat()},
    }


def from_columns(columns: Mapping[str, Any] | None) -> KnownIdentity:
    """Read what `as_columns` returned, also of a newer version: a hold stays one, whatever its reason."""
    if columns is None:
        return NOTHING_KNOWN
    recorded, hold, boot = columns["recorded"], columns["hold"], columns.get("boot")
    return KnownIdentity(
        recorded
        and RecordedIdentity(
            _identity(recorded["identity"]),
            datetime.fromisoformat(recorded["at"]),
            _known(IdentitySource, recorded["source"], IdentitySource.CONFIRMATION),
        ),
        columns["served"] and _identity(columns["served"]),
        columns["is_confirmed"],
        hold
        and Hold(
            _known(HoldReason, hold["reason"], HoldReason.APPROVAL),
            datetime.fromisoformat(hold["since"]),
            _identity(hold["shown"]),
            hold["expected"] and _identity(hold["expected"]),
        ),
        boot and ServedBoot(boot["exchange"], datetime.fromisoformat(boot["at"])),
    )


def _identity(columns: Mapping[str, Any]) -> Identity:
    known = {each.name: columns[each.name] for each in fields(Identity) if each.name in columns}
    return Identity(**{**known, "mac": Mac(columns["mac"])})


def _known(kind: type[S], value: str, other: S) -> S:
    return kind(value) if value in frozenset(kind) else other

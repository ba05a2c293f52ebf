"""Finds what identifies no machine among its reported facts: UUIDs and serial numbers that firmware vendors left as is.

A placeholder is evidence of nothing, but no fault: a machine is identified by its MACs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

# As dmidecode prints them: the first three fields are little endian on the wire (DMTF DSP0134 §7.2.1).
PLACEHOLDER_UUIDS: Final[Mapping[UUID, str]] = {
    UUID(int=0): "all zero, the board has none",  # DSP0134 §7.2.1
    UUID(int=2**128 - 1): "all ones, none was written to the board",  # DSP0134 §7.2.1; fogproject#196 (MSI)
    UUID("03000200-0400-0500-0006-000700080009"): "the default of AMI's firmware",  # oshi#2417, osquery#4374
    UUID("03020100-0504-0706-0809-0a0b0c0d0e0f"): "counts from 0 to 15",  # osquery#4374, systemd#11137
    UUID("01020304-0506-0708-090a-0b0c0d0e0f10"): "counts from 1 to 16",  # systemd#11137
    UUID("10000000-0000-8000-0040-000000000000"): "a default of firmware",  # osquery#4374
    UUID("fefefefe-fefe-fefe-fefe-fefefefefefe"): "one byte repeated",  # osquery#8887
    UUID("01010101-0101-0101-0101-010101010101"): "one byte repeated",  # systemd#11137
    UUID("8a95d198-7f46-11e5-bf8b-08002704d48e"): "the same in each LX2160A board",  # SolidRun/lx2160a_uefi#4
}
# In small letters, without blanks, dots, dashes and underscores. Seen in the DMI quirks of Linux (for instance
# drivers/power/supply/axp288_fuel_gauge.c), in Redfish of Quanta boards, and in oshi#2417.
PLACEHOLDER_SERIALS: Final = frozenset(
    {
        "tobefilledbyoem",
        "defaultstring",
        "systemserialnumber",
        "chassisserialnumber",
        "baseboardserialnumber",
        "serialnumber",
        "assettag",
        "noassettag",
        "noassetinformation",
        "notspecified",
        "notapplicable",
        "notavailable",
        "notprovided",
        "none",
        "null",
        "unknown",
        "oem",
        "empty",
        "invalid",
        "n/a",
        "na",
        "xxxxxxxxxx",
    }
)
_COUNTED: Final = ("01234567890123456789", "12345678901234567890")
_SHORTEST_COUNTED: Final = 5  # digits: a shorter one may be a true serial number
_IGNORED: Final = str.maketrans("", "", " .-_")


def identifying_facts(facts: Mapping[str, object]) -> dict[str, str]:
    """Return the UUIDs, serial numbers and asset tags among a machine's facts, at any depth, by their dotted keys."""
    return {key: text for key, text in _texts("", facts) if text and (_is_uuid(key) or _is_serial(key))}


def placeholder_note(key: str, text: str) -> str:
    """Return why an identifying fact identifies no machine; empty if it is no known placeholder."""
    if _is_uuid(key):
        uuid = placeholder_uuid(text)
        return f"{key} {uuid} is a placeholder: {PLACEHOLDER_UUIDS[uuid]}" if uuid is not None else ""
    return f"{key} {text!r} is a placeholder that many machines have" if is_placeholder_serial(text) else ""


def placeholder_uuid(text: str) -> UUID | None:
    """Return the placeholder that a UUID is, in the byte order of the wire or of dmidecode; None if it is none."""
    try:
        uuid = UUID(text)
    except ValueError:
        return None
    return next((each for each in (uuid, UUID(bytes_le=uuid.bytes)) if each in PLACEHOLDER_UUIDS), None)


def is_placeholder_serial(text: str) -> bool:
    """Return whether a serial number or asset tag is one that many machines have."""
    bare = text.translate(_IGNORED).lower()
    is_counted = len(bare) >= _SHORTEST_COUNTED and any(counted.startswith(bare) for counted in _COUNTED)
    return len(set(bare)) == 1 or is_counted or bare in PLACEHOLDER_SERIALS


def _is_uuid(key: str) -> bool:
    return "uuid" in key.rpartition(".")[2]


def _is_serial(key: str) -> bool:
    return any(word in key.rpartition(".")[2] for word in ("serial", "asset"))


def _texts(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield each text below a value, with its key."""
    match value:
        case str():
            yield key, value
        case Mapping():
            for name, inner in value.items():
                yield from _texts(f"{key}.{name}".removeprefix("."), inner)
        case Sequence():
            for inner in value:
                yield from _texts(key, inner)
        case _:
            return

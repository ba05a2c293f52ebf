"""The hardware of a machine as its inspection reported it: lines `KEY VALUE`, as kickstart/inspect.ks.j2 writes. Pure.

Unverified and bounded: a machine may report anything, and reading never fails. An unknown key and a number that is
none are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from netboot.model.host.mac import Mac
from netboot.model.words import printable_line

LONGEST_REPORT_BYTES: Final = 64 * 1024
MOST_DISKS: Final = 64
MOST_CARDS: Final = 64
_MOST_VALUES: Final = 16  # of one key: the links of a disk
_LONGEST_VALUE: Final = 128  # characters
_LONGEST_NUMBER: Final = 18  # digits

_Section = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class InspectedDisk:
    """One disk. `serials` and `wwns` are all that udev has of them, `by_path` and `by_id` its links below /dev/disk."""

    name: str  # below /dev
    size_bytes: int | None = None
    rotational: bool | None = None
    removable: bool | None = None
    read_only: bool | None = None
    model: str = ""
    serials: tuple[str, ...] = ()
    wwns: tuple[str, ...] = ()
    by_path: tuple[str, ...] = ()
    by_id: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InspectedCard:
    """One network card."""

    name: str
    mac: str = ""
    driver: str = ""
    has_link: bool | None = None
    speed_mbps: int | None = None

    @property
    def parsed_mac(self) -> Mac | None:
        """Return `mac` as hosts are registered by it, an IPoIB card's GUID; None: it is none."""
        try:
            return Mac.parse(self.mac)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Hardware:
    """What one inspection found; `secure_boot` and `setup_mode` are the variables of UEFI."""

    firmware: str = ""  # uefi or bios
    secure_boot: bool | None = None
    setup_mode: bool | None = None
    memory_kib: int | None = None
    cpu: str = ""
    cpus: int | None = None
    disks: Sequence[InspectedDisk] = field(default=())
    cards: Sequence[InspectedCard] = field(default=())


def hardware_in(report: str) -> Hardware:
    """Read a report; `disk NAME` and `nic NAME` begin what follows them."""
    machine, disks, cards = _sections(report)
    return Hardware(
        firmware=_text(machine, "firmware"),
        secure_boot=_flag(machine, "secure_boot"),
        setup_mode=_flag(machine, "setup_mode"),
        memory_kib=_number(machine, "memory_kib"),
        cpu=_text(machine, "cpu"),
        cpus=_number(machine, "cpus"),
        disks=tuple(_disk(section) for section in disks[:MOST_DISKS]),
        cards=tuple(_card(section) for section in cards[:MOST_CARDS]),
    )


def as_columns(hardware: Hardware) -> Mapping[str, Any]:
    """Return what JSON can have of it, without what is not known."""
    return {
        **_known(hardware),
        "disks": [_known(disk) for disk in hardware.disks],
        "cards": [_known(card) for card in hardware.cards],
    }


def from_columns(columns: Mapping[str, Any]) -> Hardware:
    """Read what `as_columns` returned, also after JSON made lists of its tuples."""
    machine = {name: value for name, value in columns.items() if name not in ("disks", "cards")}
    disks = tuple(InspectedDisk(**_tupled(disk)) for disk in columns.get("disks", ()))
    return Hardware(**machine, disks=disks, cards=tuple(InspectedCard(**card) for card in columns.get("cards", ())))


def _known(part: Hardware | InspectedDisk | InspectedCard) -> dict[str, Any]:
    values = {name: getattr(part, name) for name in part.__slots__}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value not in (None, "", ()) and name not in ("disks", "cards")
    }


def _tupled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _sections(report: str) -> tuple[_Section, list[_Section], list[_Section]]:
    machine: _Section = {}
    parts: dict[str, list[_Section]] = {"disk": [], "nic": []}
    current = machine
    for key, value in _lines(report):
        if key in parts:
            current = {"name": [value]}
            parts[key].append(current)
        elif len(values := current.setdefault(key, [])) < _MOST_VALUES:
            values.append(value)
    return machine, parts["disk"], parts["nic"]


def _lines(report: str) -> Iterator[tuple[str, str]]:
    """Yield key and value of each line that has both."""
    for line in report[:LONGEST_REPORT_BYTES].split("\n"):
        key, _, value = line.strip().partition(" ")
        if value.strip():
            yield key, printable_line(value.strip(), longest=_LONGEST_VALUE)


def _disk(section: _Section) -> InspectedDisk:
    return InspectedDisk(
        name=_text(section, "name"),
        size_bytes=_number(section, "size_bytes"),
        rotational=_flag(section, "rotational"),
        removable=_flag(section, "removable"),
        read_only=_flag(section, "read_only"),
        model=_text(section, "model"),
        serials=tuple(dict.fromkeys(section.get("serial", ()))),  # udev has one under several names
        wwns=tuple(section.get("wwn", ())),
        by_path=tuple(section.get("by_path", ())),
        by_id=tuple(section.get("by_id", ())),
    )


def _card(section: _Section) -> InspectedCard:
    return InspectedCard(
        name=_text(section, "name"),
        mac=_text(section, "mac"),
        driver=_text(section, "driver"),
        has_link=_flag(section, "link"),
        speed_mbps=_number(section, "speed_mbps"),
    )


def _text(section: _Section, key: str) -> str:
    return section.get(key, [""])[0]


def _number(section: _Section, key: str) -> int | None:
    text = _text(section, key)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def _flag(section: _Section, key: str) -> bool | None:
    return {"0": False, "1": True}.get(_text(section, key))

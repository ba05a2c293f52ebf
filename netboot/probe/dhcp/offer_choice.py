"""The types of a firmware's choice among offers, and what all firmware does with an offer's option 43."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer

PXE_CLIENT = b"PXEClient"
HTTP_CLIENT = b"HTTPClient"


@dataclass(frozen=True, slots=True)
class OfferChoice:
    """What a firmware goes on with. `lease`: whose address it requests; `boot`: whose boot file it takes.

    `boot` None: that of the ACK. `needs_boot_server`: the boot file is requested on port 4011 of that server.
    """

    lease: DhcpAnswer | None
    boot: DhcpAnswer | None = None
    needs_boot_server: bool = False


@dataclass(frozen=True, slots=True)
class HeardOffers:
    """The offers of one exchange that this firmware accepts, and why it drops the others."""

    offers: Sequence[DhcpAnswer]
    dropped: Sequence[str]
    is_lease_needed: bool

    @property
    def leases(self) -> list[DhcpAnswer]:
        """The offers with an address."""
        return [each for each in self.offers if each.is_lease]

    @property
    def proxies(self) -> list[DhcpAnswer]:
        """The offers without an address. A machine that needs no lease takes the boot data of any offer."""
        return [each for each in self.offers if not each.is_lease or not self.is_lease_needed]

    @property
    def evidence(self) -> tuple[str, ...]:
        """Every offer and every dropped reply, one line each."""
        return (*(f"offer of {each}" for each in self.offers), *self.dropped)


@dataclass(frozen=True, slots=True)
class ChoiceRules:
    """How one program judges replies and chooses.

    `drop_reason`: why it drops a reply, empty if it does not. `is_enough`: it stops its wait before the end.
    `choose`: its choice after a wait, with the seconds since its first DISCOVER; None: it sends another DISCOVER.
    `chosen_answer`: of its choice and the ACK, the packet whose boot file it loads. `boot_file`: the name in it.
    `no_offer` and `no_file`: what it prints.
    """

    drop_reason: Callable[[DhcpAnswer], str]
    is_enough: Callable[[HeardOffers], bool]
    choose: Callable[[HeardOffers, float], OfferChoice | None]
    chosen_answer: Callable[[OfferChoice, DhcpAnswer | None], DhcpAnswer | None]
    boot_file: Callable[[DhcpAnswer], str]
    no_offer: Callable[[HeardOffers], BootFailedError]
    no_file: Callable[[HeardOffers, DhcpAnswer | None], BootFailedError]
    no_boot_server: str  # what it prints if port 4011 does not reply
    local_boot: Callable[[DhcpAnswer], str] = lambda _: ""


def waits_to_the_end(_: HeardOffers) -> bool:
    """Never stop a wait because of an offer."""
    return False


def drops_nothing(_: DhcpAnswer) -> str:
    """Drop no reply."""
    return ""


def option_before_field(answer: DhcpAnswer) -> str:
    """Name the boot file of option 67, else of the field `file`."""
    return answer.boot_file_option or answer.file


def field_before_option(answer: DhcpAnswer) -> str:
    """Name the boot file of the field `file`, else of option 67."""
    return answer.file or answer.boot_file_option


def boot_answer(choice: OfferChoice, ack: DhcpAnswer | None) -> DhcpAnswer | None:
    """Take the boot file of the offer that was chosen for it, else that of the ACK."""
    return choice.boot or ack or choice.lease


def sub_options(value: bytes) -> Mapping[int, bytes]:
    """Read the PXE options in option 43 as far as they are well-formed."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 1 < len(value) and value[at] != 255:
        if value[at] == 0:
            at += 1
            continue
        end = at + 2 + value[at + 1]
        if end > len(value):
            break
        found[value[at]] = value[at + 2 : end]
        at = end
    return found


def has_boot_control(answer: DhcpAnswer) -> bool:
    """Return whether option 43 has one of the sub-options 6 to 10; without them a PXEClient offer leads to 4011."""
    return any(code in sub_options(answer.options.get(43, b"")) for code in range(6, 11))


def takes_the_file(answer: DhcpAnswer) -> bool:
    """Return whether bit 3 of 43.6 is set: load the named file, without discovery and menu."""
    return bool((sub_options(answer.options.get(43, b"")).get(6) or b"\0")[0] & 8)


def is_local_disk_menu(answer: DhcpAnswer) -> bool:
    """Return whether the menu of 43.9 has entries of type 0 only, the local disk."""
    menu = sub_options(answer.options.get(43, b"")).get(9, b"")
    types = []
    while len(menu) >= 3:
        types.append(menu[:2])
        menu = menu[3 + menu[2] :]
    return bool(types) and set(types) == {b"\0\0"}

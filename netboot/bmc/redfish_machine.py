"""The machine of one host in its BMC's Redfish: found once per call, with the quirks that apply to it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, TypeVar

from netboot.bmc.bmc_connection import BmcConnection
from netboot.bmc.bmc_fault import BmcFault, BmcFaultError
from netboot.bmc.quirks import KnownQuirks, MachineKind, Quirks
from netboot.bmc.redfish_faults import message_ids, message_of
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.words import one_line

T = TypeVar("T")

_MOST_MEMBERS: Final = 64  # of a list that are read


class RedfishMachine:
    """What the parts of this package share in one call."""

    def __init__(self, connection: BmcConnection, host: Host, known: KnownQuirks) -> None:
        self.connection = connection
        self.host = host
        self._known = known

    @cached_property
    def system(self) -> Any:
        """sushy's System."""
        root, named = self.connection.root(), self.connection.bmc.system
        if named is None:
            return root.get_system()
        if named.startswith("/"):
            return root.get_system(named)
        paths = root.get_system_collection().members_identities
        for path in paths:
            if path.rstrip("/").rpartition("/")[2] == named:
                return root.get_system(path)
        listed = ", ".join(path.rstrip("/").rpartition("/")[2] for path in paths[:20]) or "none"
        raise BmcFaultError(
            BmcFault.MACHINE, f"the BMC has no machine {named}", one_line(f"write one of these as bmc.system: {listed}")
        )

    @cached_property
    def kind(self) -> MachineKind:
        """What the machine is; the firmware of the BMC is read only if an entry of the quirks names one."""
        vendor = self._text(self.system.manufacturer) or self._text(self.connection.root().json.get("Vendor"))
        model = self._text(self.system.model)
        firmware = self.firmware if self._known.needs_firmware(vendor, model) else ""
        return MachineKind(vendor, model, firmware)

    @cached_property
    def firmware(self) -> str:
        """The version of the BMC's firmware; empty if it does not report it."""
        managers = self._members(self.connection.root().get_manager_collection())
        return next((self._text(each.firmware_version) for each in managers if each.firmware_version), "")

    @cached_property
    def quirks(self) -> Quirks:
        """What differs for this machine."""
        return self._known.of(self.kind)

    def cards(self) -> list[tuple[str, str]]:
        """List the cards that the BMC reports: the id and the MAC in small letters of each."""
        if "EthernetInterfaces" not in self.system.json:
            return []
        cards = self._members(self.system.ethernet_interfaces)
        return [(str(each.identity), self._text(each.mac_address).lower()) for each in cards]

    @staticmethod
    def _members(collection: Any) -> Iterator[Any]:
        """Read the members of a list; one that the BMC lists and does not serve is left out."""
        from sushy import exceptions

        for path in collection.members_identities[:_MOST_MEMBERS]:
            with suppress(exceptions.ResourceNotFoundError):
                yield collection.get_member(path)

    def own_card(self) -> tuple[str, str] | None:
        """Return the id and the MAC of a card of the host, or of `bmc.cards`.

        None: the BMC or the host has no MAC of Ethernet. Raises BmcFaultError if the machine has other cards: a wrong
        address would power another machine.
        """
        own = {*self.connection.bmc.cards, *(mac for mac in self.host.macs if not mac.is_infiniband)}
        cards = [(identity, mac) for identity, text in self.cards() if (mac := _mac(text)) is not None]
        if not own or not cards:
            return None
        for card in cards:
            if card[1] in own:
                return card
        listed = ", ".join(mac for _, mac in cards[:8])
        raise BmcFaultError(
            BmcFault.MACHINE,
            one_line(f"its cards have the MACs {listed}, none of the host"),
            "correct bmc.url or mac; if these are onboard cards of this machine, write one of them as bmc.cards",
        )

    def repeat(self, request: Callable[[], T]) -> T:
        """Send a request; again after an answer that the quirks name."""
        left = {each.message: each.times for each in self.quirks.values.retry or ()}
        while True:
            try:
                return request()
            except Exception as error:
                words = " ".join((*message_ids(error), message_of(error)))
                found = next((each for each in self.quirks.values.retry or () if each.message in words), None)
                if found is None or left[found.message] <= 0:
                    raise
                left[found.message] -= 1
                self.pause(found.wait_s)

    def pause(self, seconds: float) -> None:
        """Wait; raise BmcFaultError if the call is ended meanwhile."""
        self.connection.pause(seconds)

    @staticmethod
    def _text(value: object) -> str:
        return one_line(value) if isinstance(value, str) else ""


def _mac(text: str) -> Mac | None:
    """Read what a BMC reports as a MAC; some report zeros, or words."""
    try:
        return Mac.parse(text)
    except ValueError:
        return None

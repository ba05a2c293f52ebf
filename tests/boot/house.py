"""A desk with a real ledger, real documents and real content; only the clock and chance are ours."""

import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from netboot.boot.desk import Desk
from netboot.boot.file_desk import FileDesk
from netboot.boot.installs import InstallBook
from netboot.boot.offer_desk import OfferDesk
from netboot.boot.token_desk import TokenDesk
from netboot.model.client import Arch, BootClient, BootProtocol, Cpu, Stage
from netboot.model.event import Event
from netboot.model.mac import Mac
from netboot.model.offer import Offer
from netboot.store.database import Database
from netboot.store.events import EventLog

MAC = Mac.parse("52:54:00:aa:bb:01")
OTHER_MAC = Mac.parse("52:54:00:aa:bb:02")
STRANGER_MAC = Mac.parse("52:54:00:aa:bb:99")
ADDRESS = IPv4Address("192.0.2.50")
OTHER_ADDRESS = IPv4Address("192.0.2.51")
STRANGER_ADDRESS = IPv4Address("192.0.2.66")
BASE_URL = "http://192.0.2.10:8080"

FIRMWARE = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
IPXE = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.IPXE)

LOADERS = {(BootProtocol.PXE, Cpu.X64): "snponly.efi", (BootProtocol.PXE, Cpu.X86_BIOS): "undionly.kpxe"}


class FakeClock:
    """Time stands still until it is told."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._draws = itertools.count(1)

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def random_bytes(self, count: int) -> bytes:
        return next(self._draws).to_bytes(count, "big")

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class House:
    """Everything that a machine meets behind the doors."""

    desk: Desk
    offer_desk: OfferDesk
    file_desk: FileDesk
    token_desk: TokenDesk
    book: InstallBook
    event_log: EventLog
    database: Database
    clock: FakeClock
    directory: Path

    def boots(self, *clients: BootClient, address: IPv4Address = ADDRESS) -> None:
        """Let machines announce themselves and take their address, as the wire would show it."""
        for client in clients:
            offer = self.offer_desk.offer_for(client)
            if isinstance(offer, Offer):
                self.offer_desk.offered(client, offer)
            self.offer_desk.saw_address(client.mac, address, exchange=client.exchange or 0)

    async def events(self) -> list[Event]:
        await self.event_log.flush()
        return await self.event_log.after(0)

    async def event_names(self) -> list[str]:
        return [event.name for event in await self.events()]


Scenario = Callable[[House], Coroutine[Any, Any, Any]]
InHouse = Callable[[Scenario], Any]

"""Finds and reads the captures of a machine's boots, with and without a running daemon."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from netboot.boot_records.record_files import NoRecordError, Owner, RecordFiles, RecordKind, of_boot
from netboot.boot_records.record_writer import RecordWriter
from netboot.wire import pcapng
from netboot.wire.pcapng import BlockType


class NoCaptureError(NoRecordError):
    """No capture of this machine or boot is kept."""

    code = "capture-unknown"


@dataclass(frozen=True, slots=True)
class CapturedBoot:
    """A boot that has a capture: its number among the kept ones, the oldest is 1."""

    machine: str
    number: int
    began_at: datetime
    packets: int
    bytes: int


class BootCaptures:
    def __init__(
        self, files: RecordFiles, known: Callable[[str], Awaitable[Owner]], writer: RecordWriter | None = None
    ) -> None:
        """`known` finds a host by name or a machine by MAC, else raises UnknownHostError. `writer`: of a daemon."""
        self._files, self._known, self._writer = files, known, writer

    async def all(self, name: str) -> list[CapturedBoot]:
        """List the boots of a machine that have a capture, oldest first; raise UnknownHostError."""
        owner = await self._known(name)
        records = await asyncio.to_thread(self._files.of, owner, RecordKind.CAPTURE)
        return [
            CapturedBoot(owner, number, record.began_at, *await asyncio.to_thread(_counted, record.path))
            for number, record in enumerate(records, 1)
        ]

    async def began(self, name: str) -> list[datetime]:
        """Return when each boot with a capture began, the oldest first, which is number 1; raise UnknownHostError."""
        records = await asyncio.to_thread(self._files.of, await self._known(name), RecordKind.CAPTURE)
        return [each.began_at for each in records]

    async def read(self, name: str, *, boot: int = 0) -> bytes:
        """Read the capture of a boot, which `of_boot` counts, as a pcapng file.

        Raises UnknownHostError and NoCaptureError.
        """
        owner = await self._known(name)
        if self._writer is not None:
            await self._writer.write_packets()
        records = await asyncio.to_thread(self._files.of, owner, RecordKind.CAPTURE)
        record = of_boot(records, boot)
        capture = b"" if record is None else await asyncio.to_thread(_whole, record.path)
        if not capture:
            kept = f"it has the captures of {len(records)} boots" if records else "see records.captures"
            raise NoCaptureError(f"no capture of {f'boot {boot} of {name}' if records else name} is kept; {kept}")
        return capture


def _whole(path: Path) -> bytes:
    """Read the whole blocks of a capture, which may be written now; a deleted one has none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    return data[: sum(len(block) for _, block in pcapng.blocks(data))]


def _counted(path: Path) -> tuple[int, int]:
    """Return how many packets and bytes a capture has."""
    capture = _whole(path)
    return sum(kind == BlockType.PACKET for kind, _ in pcapng.blocks(capture)), len(capture)

"""What is on a guest's disks: data of before, and a checksum that shows any change."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from netboot.lab.machines.guest import Guest

DATA: Final = b"a customer's data" * 1000
_CHUNK: Final = 1 << 16


def write_data(guest: Guest, change: Callable[[bytearray], None] | None = None) -> None:
    """Put data on all disks; `change` changes the beginning of the first one."""
    for number, (disk, file) in enumerate(zip(guest.machine.disks, guest.disk_files, strict=True)):
        content = bytearray(DATA)
        if change is not None and number == 0:
            change(content)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.truncate(file, disk.size_gib << 30)


def checksums(guest: Guest) -> list[str]:
    """Return a SHA-256 of each disk: of its chunks that are not zero, each with its place."""
    found = []
    for file in guest.disk_files:
        digest = hashlib.sha256(f"{file.stat().st_size}".encode())
        for place, chunk in _chunks(file):
            digest.update(f"\n{place}\n".encode() + chunk)
        found.append(digest.hexdigest())
    return found


def _chunks(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the chunks that are not zero; the holes of a sparse file are not read."""
    disk = os.open(file, os.O_RDONLY)
    try:
        place, end = 0, os.fstat(disk).st_size
        while place < end:
            try:
                place = os.lseek(disk, place, os.SEEK_DATA) // _CHUNK * _CHUNK
            except OSError:  # ENXIO: a hole up to the end
                return
            chunk = os.pread(disk, _CHUNK, place)
            if chunk.strip(b"\0"):
                yield place, chunk
            place += _CHUNK
    finally:
        os.close(disk)

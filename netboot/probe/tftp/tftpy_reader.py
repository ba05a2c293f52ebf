"""Reads a file with tftpy, an implementation of TFTP that is not ours; for `netboot doctor --host`."""

import asyncio
import io
import logging
import time
from ipaddress import IPv4Address
from typing import Final

from netboot.errors import NetbootError
from netboot.model.words import printable_line

LARGEST_BYTES: Final = 64 << 20
_TRIES: Final = 3


class ForeignReadError(NetbootError):
    """tftpy could not read the file; the text is its own."""


async def read_by_tftpy(server: IPv4Address, name: str, *, timeout_s: float, port: int = 69) -> bytes:
    """Read a file of at most 64 MB in a thread. Raise ForeignReadError after an ERROR or after `timeout_s`."""
    return await asyncio.to_thread(_read, str(server), port, name, timeout_s)


def _read(server: str, port: int, name: str, timeout_s: float) -> bytes:
    import tftpy

    logging.getLogger("tftpy").setLevel(logging.CRITICAL)
    received = io.BytesIO()
    deadline_s = time.monotonic() + timeout_s

    def limit(_packet: object) -> None:
        if received.getbuffer().nbytes > LARGEST_BYTES:
            raise ForeignReadError(f"{name} of {server} is larger than {LARGEST_BYTES >> 20} MB")
        if time.monotonic() > deadline_s:
            raise ForeignReadError(f"{server} did not send {name} in {timeout_s:.0f} s")

    client = tftpy.TftpClient(server, port, options={"blksize": 1428, "tsize": 0}, flock=False)
    try:
        client.download(name, received, packethook=limit, timeout=timeout_s / (_TRIES + 1), retries=_TRIES)
    except ForeignReadError:
        raise
    except Exception as error:  # a hostile datagram may raise anything in tftpy
        shown = printable_line(str(error) or type(error).__name__)
        raise ForeignReadError(f"tftpy cannot read {name} from {server}: {shown}") from None
    return received.getvalue()

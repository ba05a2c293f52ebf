"""One request to a listener of this daemon, through the kernel and back: whether its event loop answers there.

It does not matter what is answered. What this computer cannot find out, as without a free descriptor, counts as an
answer.
"""

import asyncio
import errno
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.model.urls import ALIVE_PATH

_LONGEST_ANSWER: Final = 1024
# Of our own end: no descriptor, memory or port is free, or the address is no longer this computer's.
_UNKNOWN: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRINUSE, errno.EADDRNOTAVAIL}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a listener is: an address with a port, or a Unix socket."""

    at: str | Path
    port: int = 0
    has_tls: bool = False

    def __str__(self) -> str:
        if isinstance(self.at, Path):
            return str(self.at)
        return f"[{self.at}]:{self.port}" if ":" in self.at else f"{self.at}:{self.port}"


async def is_answered(endpoint: Endpoint, *, within_s: float) -> bool:
    """Return whether a request is answered in time; also if the connection is closed, as beyond a limit."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await _connection(endpoint)
            try:
                writer.write(
                    f"HEAD {ALIVE_PATH} HTTP/1.1\r\nHost: {_host(endpoint)}\r\nConnection: close\r\n\r\n".encode()
                )
                await reader.read(_LONGEST_ANSWER)
            finally:
                writer.transport.abort()
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return True  # our own end of the listener closed it
    except TimeoutError:
        return False
    except OSError as error:
        return error.errno in _UNKNOWN
    return True


async def _connection(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(endpoint.at, Path):
        return await asyncio.open_unix_connection(str(endpoint.at))
    # From the same address: if it was moved to another computer meanwhile, nothing is sent there.
    source = (endpoint.at, 0)
    tls = _unverified() if endpoint.has_tls else None
    return await asyncio.open_connection(endpoint.at, endpoint.port, ssl=tls, local_addr=source)


def _host(endpoint: Endpoint) -> str:
    return "localhost" if isinstance(endpoint.at, Path) else str(endpoint)


def _unverified() -> ssl.SSLContext:
    """Make the settings of TLS to ourselves: the certificate need not name this address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

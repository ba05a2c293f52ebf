"""How each client of the boot LAN uses HTTP: its header fields in their order, its connections, what ends its boot.

Sources: docs/wire.md; GRUB grub-core/net/http.c; iPXE src/net/tcp/httpcore.c; EDK2 NetworkPkg/HttpBootDxe and
HttpIoLib; curl and libostree as packaged for Enterprise Linux 8; Ignition internal/resource/http.go.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

HOST_WITH_PORT: Final = "{host_and_port}"
HOST_ALONE: Final = "{host}"


@dataclass(frozen=True, slots=True)
class HttpAgent:
    """The rules of one client.

    `waits_s` are its waits before it repeats a request that got a status for which `repeats` is true, or no connection.
    `idle_s` is how long it waits for the next byte.
    """

    name: str
    fields: tuple[tuple[str, str], ...]
    idle_s: float
    keeps_connection: bool
    reopens: bool = True  # a connection that the server closed between two requests
    redirects: int = 0
    resumes: int = 0  # a broken download, by Range
    needs_length: bool = False
    has_literal_parser: bool = False  # `HTTP/1.1 `, `Content-Length: ` in this case with one space: GRUB
    obeys_retry_after: bool = False
    waits_s: tuple[float, ...] = ()
    repeats: Callable[[int], bool] = lambda _: False
    missing: str = "404 Not Found"


IPXE: Final = HttpAgent(
    "iPXE",
    (("Connection", "keep-alive"), ("User-Agent", "iPXE/1.0.0+git-20190125.36a4c85-5.1"), ("Host", HOST_WITH_PORT)),
    idle_s=120.0,
    keeps_connection=True,
    redirects=5,
    obeys_retry_after=True,
    missing="No such file or directory (https://ipxe.org/2d0c618e)",
)
EDK2: Final = HttpAgent(
    "EDK2",
    (("Host", HOST_ALONE), ("Accept", "*/*"), ("User-Agent", "UefiHttpBoot/1.0")),
    idle_s=5.0,  # PcdHttpIoTimeout
    keeps_connection=True,
    reopens=False,
    resumes=5,
    needs_length=True,
    missing="Error: Could not retrieve NBP file size from HTTP server.",
)
SHIM: Final = HttpAgent(
    "shim",
    (("Host", HOST_ALONE), ("Accept", "*/*"), ("User-Agent", "UefiHttpBoot/1.0")),
    idle_s=5.0,
    keeps_connection=False,
    needs_length=True,
    missing="Unable to fetch HTTP image: Not Found",
)
GRUB: Final = HttpAgent(
    "GRUB",
    (("Host", HOST_ALONE), ("User-Agent", "GRUB 2.06-13+deb12u2")),
    idle_s=30.0,  # 100 polls of 300 ms
    keeps_connection=False,
    needs_length=True,
    has_literal_parser=True,
    missing="error: file not found.",
)
CURL: Final = HttpAgent(
    "curl",
    (("Host", HOST_WITH_PORT), ("User-Agent", "curl/7.61.1"), ("Accept", "*/*")),
    idle_s=60.0,
    keeps_connection=False,
    redirects=50,
    waits_s=(1.0, 2.0, 4.0),
    repeats=lambda status: status == 408 or status >= 500,
    missing="curl: (22) The requested URL returned error: 404",
)
LIBOSTREE: Final = HttpAgent(
    "libostree",
    (
        ("Host", HOST_WITH_PORT),
        ("User-Agent", "libostree/2022.2 libcurl/7.61.1"),
        ("Accept", "*/*"),
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
    ),
    idle_s=30.0,
    keeps_connection=True,
    redirects=50,
    missing="Server returned HTTP 404",
)
IGNITION: Final = HttpAgent(
    "Ignition",
    (
        ("Host", HOST_WITH_PORT),
        ("User-Agent", "Ignition/2.14.0"),
        ("Accept", "application/vnd.coreos.ignition+json;version=3.4.0, */*;q=0.1"),
        ("Accept-Encoding", "identity"),
    ),
    idle_s=10.0,  # ignition.timeouts.httpResponseHeaders
    keeps_connection=True,
    redirects=10,
    waits_s=(0.2, 0.4, 0.8, 1.6, 3.2, 5.0),  # without limit in Ignition; bounded here
    repeats=lambda status: status >= 500,
    missing="server responded with non-OK status 404",
)

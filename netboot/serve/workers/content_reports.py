"""What a content worker served, in batches, as one line each on its way to the daemon. No socket, no clock.

The worker's `Reports` stands where the daemon's desk and counters stand; `apply` tells them the same, later, in the
same order for each machine.
"""

import json
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, Final, Protocol

from netboot.content.serving.served_file import NO_CACHE, OCTETS, ServedFile
from netboot.model.release import ContentKind

LISTENING: Final = b'{"listening":true}\n'  # a worker's first line: its port is open
MOST_IN_A_LINE: Final = 2048
MOST_HELD: Final = 200_000  # a daemon that does not read costs a worker no more than some 30 MB


class ScriptService(Protocol):
    """Who keeps the timeline of each boot."""

    def content_served(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        """Take note that a machine got a file, or `bytes_sent` of it."""


class Counters(Protocol):
    """Who counts."""

    def content_counted(self, kind: ContentKind, status: int, *, requests: int, bytes_sent: int) -> None:
        """Count several answers of one kind and status."""

    def request_malformed(self) -> None:
        """Count one request that is no HTTP."""


class Reports:
    """Gathers until somebody takes."""

    def __init__(self) -> None:
        self._served: list[tuple[str, str, str, str, int, int]] = []
        self._counted: dict[tuple[str, int], list[int]] = {}
        self._malformed = 0

    def content_served(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        """Take note of what a machine got; beyond what is bearable it is only counted."""
        if len(self._served) < MOST_HELD:
            kind = file.kind.value
            self._served.append((str(address), file.owner, kind, file.member, file.size_bytes, bytes_sent))

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        """Count one answer."""
        sums = self._counted.setdefault((kind.value, int(status)), [0, 0])
        sums[0] += 1
        sums[1] += bytes_sent

    def request_malformed(self) -> None:
        """Count one request that is no HTTP."""
        self._malformed += 1

    def take(self) -> Iterator[bytes]:
        """Give what was gathered, in lines."""
        served, self._served = self._served, []
        counted, self._counted = self._counted, {}
        malformed, self._malformed = self._malformed, 0
        if counted or malformed:
            sums = [[kind, status, *numbers] for (kind, status), numbers in counted.items()]
            yield _line({"counted": sums, "malformed": malformed})
        for first in range(0, len(served), MOST_IN_A_LINE):
            yield _line({"served": served[first : first + MOST_IN_A_LINE]})


def apply(line: bytes, service: ScriptService, counters: Counters) -> None:
    """Tell the daemon's desk and counters what one line says; raise ValueError for what is no line of ours."""
    told: Any = json.loads(line)
    try:
        for kind, status, requests, bytes_sent in told.get("counted", ()):
            counters.content_counted(ContentKind(kind), status, requests=requests, bytes_sent=bytes_sent)
        for _ in range(told.get("malformed", 0)):
            counters.request_malformed()
        for address, owner, kind, member, size_bytes, bytes_sent in told.get("served", ()):
            file = ServedFile("", size_bytes, "", OCTETS, NO_CACHE, ContentKind(kind), owner, member)
            service.content_served(IPv4Address(address), file, bytes_sent)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"a worker's report is none: {error}") from error


def _line(told: dict[str, object]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"

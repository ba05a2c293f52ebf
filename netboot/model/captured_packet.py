"""A packet of a boot as it is recorded: what a machine and this appliance sent each other. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

Endpoint = tuple[str, int]  # address and port


class Protocol(StrEnum):
    DHCP = "dhcp"
    TFTP = "tftp"
    HTTP = "http"


class CapturedPacket(NamedTuple):  # made three times as fast as a frozen dataclass
    """A datagram, or the head of an HTTP request, with both ends of its way.

    `kept_bytes` of `data` are stored, None: all. `comment` states what is not among the bytes: the answer of a request.
    """

    protocol: Protocol
    at: datetime
    interface: str
    source: Endpoint
    destination: Endpoint
    data: bytes
    is_sent: bool  # by this appliance
    kept_bytes: int | None = None
    comment: str = ""


class CapturedRequest(NamedTuple):
    """An HTTP request with both ends of its connection. `fields` are by their names in lower case."""

    machine: Endpoint
    server: Endpoint
    method: str
    target: str
    fields: Mapping[str, str]

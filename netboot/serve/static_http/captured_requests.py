"""Gives requests of machines to the captures of their boots, without those for each object of a release.

A machine that pulls a release requests ten thousand files of it; of these only the refused ones are recorded.
"""

import asyncio
from dataclasses import dataclass

from netboot.boot.records.packet_capture import PacketCapture
from netboot.model import urls
from netboot.model.captured_packet import CapturedRequest, Endpoint
from netboot.serve.static_http.head import StaticRequest

Ends = tuple[Endpoint, Endpoint]  # of a connection: the machine and this appliance


def ends_of(transport: asyncio.BaseTransport) -> Ends | None:
    """Return both ends of a connection; None: it is closed already."""
    peer, ours = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return (peer[:2], ours[:2]) if peer and ours else None


@dataclass(frozen=True, slots=True)
class CapturedRequests:
    """The requests below static trees."""

    capture: PacketCapture

    def begin(self, request: StaticRequest, ends: Ends | None) -> None:
        """Record a request."""
        if ends is not None and not urls.is_of_pull(request.path):
            self.capture.record_request(_captured(request, ends))

    def end(self, request: StaticRequest, ends: Ends | None, *, status: int, bytes_sent: int) -> None:
        """Record that a request was answered."""
        if ends is None:
            return
        if not urls.is_of_pull(request.path):
            self.capture.record_answer(_captured(request, ends), status, bytes_sent=bytes_sent)
        elif status >= 400:
            self.capture.record_request(_captured(request, ends))
            self.capture.record_answer(_captured(request, ends), status, bytes_sent=bytes_sent)


def _captured(request: StaticRequest, ends: Ends) -> CapturedRequest:
    return CapturedRequest(*ends, request.method, request.path, request.fields)

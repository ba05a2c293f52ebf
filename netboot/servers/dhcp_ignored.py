"""What a DHCP door does not answer: one counter and one debug line each, with the same word for the reason.

One kind of silence a person can end: a machine of an architecture that nothing here boots. It is told once for each
architecture, so that no flood fills the log.
"""

from collections.abc import Mapping
from typing import Final

import structlog

from netboot.model.lease import LeaseSilence
from netboot.model.network import Interface
from netboot.model.offer import IgnoreReason
from netboot.proto import pxe
from netboot.proto.dhcp import DhcpMessage
from netboot.proto.pxe import Silence
from netboot.servers.udp import Counters

log = structlog.get_logger()

REFUSALS_TOLD: Final = 32  # architectures; the number is a stranger's, so the list has an end

_ARCHITECTURE_CURES: Final[Mapping[Silence | LeaseSilence | IgnoreReason, str]] = {
    Silence.UNKNOWN_ARCHITECTURE: "choose another network boot in its firmware: nothing is made for this one",
    IgnoreReason.NO_LOADER_FOR_ARCH: "put its loader below one of bootfiles.directories",
    IgnoreReason.LOADER_FOR_ANOTHER_CPU: "correct the loader that its hosts entry names: it is for another CPU",
}


class IgnoredQuestions:
    """Those of one port on one interface."""

    def __init__(self, interface: Interface, port: int, *, counters: Counters) -> None:
        self._interface = interface
        self._port = port
        self._counters = counters
        self._refused: set[int] = set()

    def take(self, reason: Silence | LeaseSilence | IgnoreReason, message: DhcpMessage | None) -> None:
        """Count and log one; `message` is None where it could not be read."""
        self._counters.count("dhcp_ignored", reason=reason.value)
        if message is not None:
            self.tell_of_architecture(reason, message)
        log.debug(
            "dhcp.ignored",
            mac=message and pxe.client_mac(message),
            reason=reason.value,
            iface=self._interface.name,
            port=self._port,
        )

    def tell_of_architecture(self, reason: Silence | LeaseSilence | IgnoreReason, message: DhcpMessage) -> None:
        """Warn of a machine that boots from nothing we have, if that is the reason: once for each architecture."""
        number = pxe.architecture(message) if reason in _ARCHITECTURE_CURES else None
        if number is None or number in self._refused or len(self._refused) >= REFUSALS_TOLD:
            return
        self._refused.add(number)
        log.warning(
            "dhcp.architecture_refused",
            mac=pxe.client_mac(message),
            architecture=number,
            reason=reason.value,
            cure=_ARCHITECTURE_CURES[reason],
            iface=self._interface.name,
        )

"""A DHCP client of the boot chain: its messages, its waits, and the rules by which it judges replies."""

from dataclasses import dataclass
from enum import StrEnum

from netboot.probe.firmwares.message_form import MessageForm, Values, written_message


class DhcpRules(StrEnum):
    """The program whose choice among offers a client makes (docs/wire.md)."""

    ROM = "rom"  # Intel's PXE ROM and its derivatives
    EDK2 = "edk2"
    EDK2_HTTP = "edk2-http"
    IPXE = "ipxe"
    U_BOOT = "u-boot"
    ROM_LONG_NAME = "rom-long-name"  # a ROM that reads option 67 up to the next zero byte
    LEASE_ONLY = "lease-only"  # a ROM that reads no offer of a proxy
    GRUB_BOOTP = "grub-bootp"
    RASPBERRY_PI = "raspberry-pi"


class MessageKind(StrEnum):
    """The messages of a client."""

    DISCOVER = "discover"
    REQUEST = "request"
    BOOT_REQUEST = "boot-request"  # the REQUEST to port 4011


@dataclass(frozen=True, slots=True)
class DhcpTiming:
    """The seconds that a client waits after each transmission of a message; one transmission for each number."""

    discover_s: tuple[float, ...]
    request_s: tuple[float, ...]
    boot_request_s: tuple[float, ...]
    first_secs: int = 0  # `secs` of the first DISCOVER


@dataclass(frozen=True, slots=True)
class DhcpClient:
    """One DHCP client. `requests_boot_server`: it goes to port 4011 whatever option 43 of the offer contains."""

    rules: DhcpRules
    discover: MessageForm
    request: MessageForm
    boot_request: MessageForm
    timing: DhcpTiming
    requests_boot_server: bool = False

    def message(self, kind: MessageKind, values: Values) -> bytes:
        """Write a message of one machine."""
        match kind:
            case MessageKind.DISCOVER:
                return written_message(self.discover, values)
            case MessageKind.REQUEST:
                return written_message(self.request, values)
            case MessageKind.BOOT_REQUEST:
                return written_message(self.boot_request, values)

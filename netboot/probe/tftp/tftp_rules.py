"""How each firmware and loader reads by TFTP: the options it requests, its timers, and what it does with a wrong reply.

Sources: docs/wire.md; EDK2 NetworkPkg/Mtftp4Dxe/Mtftp4Rrq.c, UefiPxeBcDxe; GRUB grub-core/net/tftp.c; iPXE
src/net/udp/tftp.c; shim netboot.c; U-Boot net/tftp.c. The read request of EDK2's probe is captured:
tests/wire/captures/lab-ovmf-pxe-probe.hex; the BIOS ROM's first request is that of rrq-tail-ff.hex, its second one is
that of Intel's Boot Agent.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class UnexpectedBlock(StrEnum):
    """What a client does with a DATA whose block it does not expect."""

    ACK_LAST = "ack-last"  # acknowledges the last block that it has: EDK2
    ACK_REPEATED = "ack-repeated"  # acknowledges an older block again, ignores a later one: GRUB
    KEEP = "keep"  # keeps a later block, acknowledges the last one before the first gap: iPXE
    IGNORE = "ignore"


class RefusalOfOack(StrEnum):
    """Which OACK ends the transfer."""

    NONE = "none"
    LARGER = "larger"  # an option that is larger than requested
    EXTRA_OR_LARGER = "extra-or-larger"  # also one that was not requested: EDK2


class ProbeEnd(StrEnum):
    """What a request for the size alone gets and how it ends."""

    NO_PROBE = "no-probe"
    ERROR_8 = "error-8"  # EDK2
    ERROR_0 = "error-0"  # BIOS ROMs


@dataclass(frozen=True, slots=True)
class FailureText:
    """What the client prints, without the file's name."""

    no_reply: str
    stalled: str
    missing: str
    error: str
    unreachable: str
    wrong_oack: str
    no_oack: str = ""
    no_size: str = ""


@dataclass(frozen=True, slots=True)
class TftpRules:
    """The rules of one client. `waits_s` are its waits for a reply, one per try."""

    client: str
    options: tuple[tuple[str, str], ...]
    waits_s: tuple[float, ...]
    texts: FailureText
    unexpected: UnexpectedBlock = UnexpectedBlock.ACK_LAST
    refuses: RefusalOfOack = RefusalOfOack.NONE
    needs_oack: bool = False
    ends_with: ProbeEnd = ProbeEnd.NO_PROBE
    buffer_bytes: int | None = None  # a larger file ends with ERROR 3 after its last block and is requested again

    @property
    def is_probe(self) -> bool:
        """True if the request reads only the size."""
        return self.ends_with is not ProbeEnd.NO_PROBE


_EDK2_TEXTS: Final = FailureText(
    no_reply="PXE-E18: Server response timeout.",
    stalled="PXE-E18: Server response timeout.",
    missing="PXE-E23: Client received TFTP error from server.",
    error="PXE-E23: Client received TFTP error from server.",
    unreachable="PXE-E22: Client received ICMP error from server.",
    wrong_oack="PXE-E99: Unexpected network error.",
    no_oack="PXE-E99: Unexpected network error.",
    no_size="PXE-E53: No boot filename received.",
)
EDK2: Final = TftpRules(
    "EDK2",
    (("blksize", "1468"), ("windowsize", "4")),
    waits_s=(4.0,) * 6,
    texts=_EDK2_TEXTS,
    refuses=RefusalOfOack.EXTRA_OR_LARGER,
)
EDK2_PROBE: Final = replace(
    EDK2,
    options=(("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")),
    needs_oack=True,
    ends_with=ProbeEnd.ERROR_8,
)
SHIM: Final = replace(
    EDK2,
    client="shim",
    options=(("blksize", "512"), ("windowsize", "4")),
    texts=replace(_EDK2_TEXTS, missing="TFTP error 1", error="TFTP error", no_reply="Unable to fetch TFTP image"),
    buffer_bytes=4 << 20,
)
_ROM_TEXTS: Final = FailureText(
    no_reply="PXE-E32: TFTP open timeout.",
    stalled="PXE-E35: TFTP read timeout.",
    missing="PXE-E3B: TFTP Error - File Not found.",
    error="PXE-E36: Error received from TFTP server.",
    unreachable="PXE-E32: TFTP open timeout.",
    wrong_oack="PXE-E36: Error received from TFTP server.",
)
BIOS_ROM: Final = TftpRules(
    "BIOS ROM",
    (("blksize", "1456"),),
    waits_s=(1.0, 2.0, 4.0, 8.0),
    texts=_ROM_TEXTS,
    refuses=RefusalOfOack.LARGER,
)
BIOS_ROM_PROBE: Final = replace(BIOS_ROM, options=(("tsize", "0"),), ends_with=ProbeEnd.ERROR_0)
IPXE: Final = TftpRules(
    "iPXE",
    (("blksize", "1432"), ("tsize", "0")),
    waits_s=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    texts=FailureText(
        no_reply="Connection timed out (https://ipxe.org/4c126035)",
        stalled="Connection timed out (https://ipxe.org/4c126035)",
        missing="File not found (https://ipxe.org/2d126001)",
        error="Error from TFTP server",
        unreachable="Connection timed out (https://ipxe.org/4c126035)",
        wrong_oack="Invalid argument (https://ipxe.org/1c126002)",
    ),
    unexpected=UnexpectedBlock.KEEP,
    refuses=RefusalOfOack.LARGER,
)
GRUB: Final = TftpRules(
    "GRUB",
    (("blksize", "1024"), ("tsize", "0")),
    waits_s=tuple(0.4 + 0.02 * number for number in range(40)),
    texts=FailureText(
        no_reply="error: time out opening the file.",
        stalled="error: timeout reading the file.",
        missing="error: File not found.",
        error="error: TFTP error.",
        unreachable="error: time out opening the file.",
        wrong_oack="error: time out opening the file.",
        no_oack="error: time out opening the file.",
    ),
    unexpected=UnexpectedBlock.ACK_REPEATED,
    needs_oack=True,
)
U_BOOT: Final = TftpRules(
    "U-Boot",
    (("timeout", "5"), ("tsize", "0"), ("blksize", "1468")),
    waits_s=(5.0,) * 10,
    texts=FailureText(
        no_reply="Retry count exceeded; starting again",
        stalled="Retry count exceeded; starting again",
        missing="TFTP error: 'File not found' (1)",
        error="TFTP error",
        unreachable="Retry count exceeded; starting again",
        wrong_oack="Invalid blk size",
    ),
    unexpected=UnexpectedBlock.IGNORE,
    refuses=RefusalOfOack.LARGER,
)

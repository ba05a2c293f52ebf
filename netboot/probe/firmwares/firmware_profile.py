"""A firmware that can be simulated: the DHCP clients of its boot chain, and what it runs after its first loader."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netboot.model.boot.boot_client import BootProtocol
from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpTiming, MessageKind
from netboot.probe.firmwares.message_form import Values

FROM_WIRE_MD: Final = "from wire.md"


class DhcpStage(StrEnum):
    """Which program of the boot chain does DHCP."""

    FIRMWARE = "firmware"
    LOADER = "loader"  # a loader that the firmware loaded and that does DHCP again: iPXE


class LoaderProgram(StrEnum):
    """The program that goes on after the firmware."""

    IPXE = "ipxe"  # its own DHCP, then a script by HTTP
    IPXE_AUTOEXEC = "ipxe-autoexec"  # requests autoexec.ipxe beside its own file first
    SHIM_GRUB = "shim-grub"  # no DHCP of their own: they read the firmware's packets
    GRUB_HTTP = "grub-http"  # loaded by HTTP; reads its own URL
    NONE = "none"  # the firmware runs what it loaded, and nothing of ours follows


@dataclass(frozen=True, slots=True)
class FirmwareProfile:
    """One firmware. `firmware` is None if the chain begins with the loader, from another medium.

    `source` names what its packets are equal to: `captured: NAME, …`, packets of real firmware in tests/wire/captures,
    and behind `; boot: ` the boots in tests/captures whose requests it repeats; or `from wire.md`, which is
    docs/wire.md, with the name of its example packet there. `mac_prefix` is how the
    addresses of the firmware's cards begin, if it matters.
    """

    name: str
    title: str
    source: str
    arch: int
    protocol: BootProtocol
    firmware: DhcpClient | None
    loader: DhcpClient | None
    loader_program: LoaderProgram
    mac_prefix: str = "02:6e:62"

    @property
    def stages(self) -> tuple[DhcpStage, ...]:
        """The programs that do DHCP, in their order."""
        found = ((DhcpStage.FIRMWARE, self.firmware), (DhcpStage.LOADER, self.loader))
        return tuple(stage for stage, client in found if client is not None)

    @property
    def timing(self) -> DhcpTiming:
        """The waits of the first DHCP client."""
        return self.client(self.stages[0]).timing

    @property
    def is_captured(self) -> bool:
        """The packets of its first stage are equal to packets that real firmware sent."""
        return not self.source.startswith(FROM_WIRE_MD)

    def client(self, stage: DhcpStage) -> DhcpClient:
        """Return the DHCP client of a stage; raise ValueError if the chain has none there."""
        client = self.firmware if stage is DhcpStage.FIRMWARE else self.loader
        if client is None:
            raise ValueError(f"{self.name} does no DHCP in the stage {stage}")
        return client

    def message(self, kind: MessageKind, values: Values, stage: DhcpStage = DhcpStage.FIRMWARE) -> bytes:
        """Write a DHCP message of one machine, as the program of this stage lays it out."""
        return self.client(stage).message(kind, values)

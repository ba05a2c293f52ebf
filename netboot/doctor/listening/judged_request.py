"""What the appliance would do with one DHCP message: the daemon's own decision, and why, in one sentence. Pure."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.decide import NOTHING_KNOWN, Decision, decide
from netboot.boot.live_registry import Registry
from netboot.model.boot.boot_client import BootClient, BootProtocol, arch_name
from netboot.model.boot.offer import IgnoreReason, OfferKind, UnknownHosts
from netboot.model.clock import utc_now
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.host.network import DhcpMode
from netboot.model.install.inspection import Inspection, RequestedBoot
from netboot.model.install.install import Install
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.message import DhcpMessage
from netboot.wire.dhcp.pxe import DropReason

NOTHING: Final = "nothing"

_DROPPED: Final[Mapping[DropReason, str]] = {
    DropReason.NOT_A_BOOT_CLIENT: "it requests no network boot: a running system or an installer",
    DropReason.BOGUS_RELAY: "its giaddr is no address of a relay",
    DropReason.OTHER_BOOT_SERVER: "it requests the boot server of another appliance",
    DropReason.SIGNED_BOOT_ITEM: "it requests a signed boot item (BIS), which no server has",
    DropReason.NO_MAC: "nothing in it identifies the machine",
    DropReason.NO_ARCHITECTURE: "it names no architecture, in option 93 or in option 60",
    DropReason.RASPBERRY_PI_ROM: "the ROM of a Raspberry Pi boots no loader of netboot",
}
_IGNORED: Final[Mapping[IgnoreReason, str]] = {
    IgnoreReason.UNKNOWN_HOST: "it is not registered, and hosts.unknown is ignore",
    IgnoreReason.UNKNOWN_ARCHITECTURE: "no loader is known for its architecture; bootfiles.loaders can name one",
    IgnoreReason.NO_LOADER_FOR_ARCH: "bootfiles.directories have no loader for it; netboot check names the package",
    IgnoreReason.LOADER_WITHOUT_HTTP: "its iPXE is built without HTTP, so it cannot fetch its script",
    IgnoreReason.BOOTS_LOCALLY: "its host boots its own disk, by local_boot: no-offer",
    IgnoreReason.LOADER_FOR_ANOTHER_CPU: "the loader of its host's entry is built for another CPU",
}
_UNREGISTERED: Final[Mapping[UnknownHosts, str]] = {
    UnknownHosts.IGNORE: "it is not registered",
    UnknownHosts.WAIT: "it is not registered, and hosts.unknown is wait: its script waits",
    UnknownHosts.INSPECT: "it is not registered, and hosts.unknown is inspect: it is inspected once, then waits",
}


@dataclass(frozen=True, slots=True)
class HostStates:
    """The hosts that are armed, and what hosts boot once; `is_known` is false without a running daemon."""

    armed: frozenset[str] = frozenset()
    once: Mapping[str, RequestedBoot] = field(default_factory=dict)
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class JudgedRequest:
    """One machine's request. `result` is an `OfferKind`, or `nothing`."""

    mac: Mac | None
    host: str | None = None
    firmware: str = ""  # pxe/x64-uefi; empty if it is no boot client
    stage: str = ""
    vendor_class: str = ""
    relay: str | None = None
    result: str = NOTHING
    boot_file: str = ""
    why: str = ""

    @property
    def result_text(self) -> str:
        """State what is offered."""
        match self.result:
            case OfferKind.LOADER.value:
                by = "HTTP" if self.firmware.startswith(BootProtocol.HTTP) else "TFTP"
                return f"would be offered the loader {self.boot_file} by {by}"
            case OfferKind.SCRIPT.value:
                return "would be offered the URL of its script"
            case OfferKind.LOCAL_DISK.value:
                return "would be offered the end of its network boot"
            case _:
                return "would be offered nothing"


@dataclass(frozen=True, slots=True)
class RequestJudge:
    """Judges requests as the daemon of this registry would; `ours`: the addresses of this appliance."""

    registry: Registry
    mode: DhcpMode
    ours: Container[IPv4Address]

    def judge(self, message: DhcpMessage, port: int, states: HostStates) -> JudgedRequest | None:
        """Judge a message to port 67 or 4011; None for a message that no offer answers, whoever sent it."""
        read = pxe.offer_request if port == dhcp.SERVER_PORT else pxe.boot_server_request
        client = read(message, self.ours)
        if isinstance(client, DropReason):
            why = _DROPPED.get(client)
            return JudgedRequest(pxe.client_mac(message), why=why) if why is not None else None
        host = self.registry.hosts.by_mac(client.mac)
        if self.mode is DhcpMode.OFF:
            return _judged(client, host, NOTHING, why="dhcp.mode is off")
        install = None if host is None else _install(host, states)
        inspection = _inspection(host, states)
        policy = self.registry.policy
        decision = decide(client, host, install, policy, firmware=NOTHING_KNOWN, inspection=inspection)
        if not isinstance(decision, Decision):
            return _judged(client, host, NOTHING, why=_IGNORED[decision.reason])
        offer, why = decision.offer, self._why(client, host, states)
        return _judged(client, host, offer.kind.value, why=why, boot_file=offer.boot_file)

    def _why(self, client: BootClient, host: Host | None, states: HostStates) -> str:
        policy = self.registry.policy
        if client.mac in policy.left_out:
            return "the entry of its host has a fault, so it boots its own disk; netboot check"
        if host is None:
            return _UNREGISTERED[policy.unknown]
        is_leased = self.mode is DhcpMode.RESERVATION and host.network.address is not None
        address = f", and it is leased {host.network.address.ip}" if is_leased and host.network.address else ""
        if host.name in states.once:
            return f"{host.name} boots an inspection or a rescue once{address}"
        if host.name in states.armed:
            return f"{host.name} is armed: it boots its installer{address}"
        if not states.is_known:
            return f"install state unknown, no daemon runs: {host.name} is shown as not armed{address}"
        return f"{host.name} is not armed: it boots its own disk{address}"


def _judged(client: BootClient, host: Host | None, result: str, *, why: str, boot_file: str = "") -> JudgedRequest:
    relay = client.path.relay if client.path is not None else None
    return JudgedRequest(
        mac=client.mac,
        host=host.name if host is not None else None,
        firmware=f"{client.protocol}/{arch_name(client.arch)}",
        stage=client.stage.value,
        vendor_class=client.vendor_class,
        relay=str(relay) if relay is not None else None,
        result=result,
        boot_file=boot_file,
        why=why,
    )


def _inspection(host: Host | None, states: HostStates) -> Inspection | None:
    requested = states.once.get(host.name) if host is not None else None
    if host is None or requested is None:
        return None
    kind, medium = requested.kind, requested.medium
    return Inspection(host.mac, requested_at=requested.requested_at, kind=kind, requested_medium=medium)


def _install(host: Host, states: HostStates) -> Install:
    install = Install(host.name)
    return install.armed(at=utc_now(), reason="listen", attempts=1) if host.name in states.armed else install

"""Another DHCP or PXE server on the boot LAN, as its replies to machines show it, and what it does to boots. Pure.

Everything in it is unverified, because any machine can forge a reply: it is shown, and no boot is decided from it.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from netboot.model.host.mac import Mac


class ServerKind(StrEnum):
    """What a reply gives to its client."""

    DHCP = "dhcp"  # an address
    PROXY = "proxy"  # no address; its option 60 is PXEClient or HTTPClient: a proxyDHCP server, as netboot is one


class ServerEffect(StrEnum):
    """What another server does to the boots of this appliance."""

    NONE = "none"  # it leases addresses, as the LAN's DHCP server must
    LEADS_HERE = "leads-here"  # the boot file in its leases is one of this appliance
    BOOT_FILE = "boot-file"  # the boot file in its leases is of another server
    PXE_OPTION = "pxe-option"  # option 60 in its leases: firmware requests its boot file from this server
    PXE_SERVER = "pxe-server"  # a proxyDHCP server: firmware chooses between its offer and ours
    UNSEEN = "unseen"  # machines take leases of it, and its replies are not received here, as those of Kea
    LEASES = "leases"  # it leases addresses beside `dhcp.mode: reservation`, which does the same


_HARMLESS: Final = frozenset({ServerEffect.NONE, ServerEffect.LEADS_HERE, ServerEffect.UNSEEN})


@dataclass(frozen=True, slots=True)
class ServerReply:
    """One OFFER or ACK of another server. The texts are printable and have no password."""

    kind: ServerKind
    server: IPv4Address  # option 54, else the source of the packet
    mac: Mac | None  # that sent the frame; None if it is no unicast address
    client: Mac
    exchange: int  # `xid`
    has_pxe_option: bool  # option 60 is PXEClient or HTTPClient
    has_menu: bool  # option 43 has a boot menu
    boot_file: str  # option 67, else `file`; empty if it has none
    next_server: str  # `siaddr`, else option 66; empty if it has none

    @property
    def offers_boot(self) -> bool:
        """Return whether it has more for the client's boot than an address."""
        return self.has_pxe_option or bool(self.boot_file)

    def leads_to(self, addresses: Collection[IPv4Address]) -> bool:
        """Return whether its boot file is on one of these addresses: by its URL, else by its next server."""
        _, is_url, rest = self.boot_file.partition("://")
        server = rest.partition("/")[0].partition(":")[0] if is_url else self.next_server
        return bool(self.boot_file) and server in map(str, addresses)


@dataclass(frozen=True, slots=True)
class Here:
    """What this appliance is on the LAN: its addresses, also those that it publishes, and whether it leases."""

    addresses: Collection[IPv4Address]
    leases: bool = False  # dhcp.mode: reservation


@dataclass(frozen=True, slots=True)
class OtherServer:
    """One server on one interface. `boot_file` and `next_server` are those of its last reply with a boot file."""

    address: IPv4Address
    mac: Mac | None
    interface: str
    kind: ServerKind
    effect: ServerEffect
    boot_file: str
    next_server: str
    has_menu: bool
    boot_client: Mac | None  # the machine of that reply
    first_seen: datetime
    last_seen: datetime
    offers: int  # replies that were seen, acknowledgements included; 0: only requests that name it

    @property
    def takes_boots(self) -> bool:
        """Return whether machines can boot from it instead of from this appliance, or get its addresses twice."""
        return self.effect not in _HARMLESS

    @property
    def sentence(self) -> str:
        """State what it does to boots."""
        server = f"{self.address} ({self.mac})" if self.mac else str(self.address)
        return f"{_WHAT[self.kind]} {server} on {self.interface} {_DOES[self.effect].format(file=self._file)}"

    @property
    def cure(self) -> str:
        """State what to change or to verify on it; empty if nothing."""
        return _CURES[self.effect]

    @property
    def _file(self) -> str:
        """Name the boot file and its server."""
        on = f" on {self.next_server}" if self.next_server and "://" not in self.boot_file else ""
        return f"the boot file {self.boot_file}{on}"


def after_reply(
    server: OtherServer | None, reply: ServerReply, here: Here, *, interface: str, answers_boot: bool, now: datetime
) -> OtherServer:
    """Return a server after one more reply; None: it is its first.

    A DHCP server sends a boot file to boot requests only, and perhaps not to every firmware: what it sent is kept until
    the same machine boots without it. `answers_boot`: the reply answers a boot request that was seen.
    """
    first = OtherServer(
        address=reply.server,
        mac=reply.mac,
        interface=interface,
        kind=reply.kind,
        effect=_effect(reply, here),
        boot_file=reply.boot_file,
        next_server=reply.next_server,
        has_menu=reply.has_menu,
        boot_client=reply.client if reply.offers_boot else None,
        first_seen=now,
        last_seen=now,
        offers=1,
    )
    if server is None or server.offers == 0:
        return first if server is None else replace(first, first_seen=server.first_seen)
    offers = server.offers + 1
    if reply.offers_boot or (answers_boot and reply.client == server.boot_client):
        return replace(first, first_seen=server.first_seen, offers=offers)
    return replace(server, mac=reply.mac, last_seen=now, offers=offers)


def after_choice(
    server: OtherServer | None, address: IPv4Address, here: Here, *, interface: str, now: datetime
) -> OtherServer:
    """Return a DHCP server after the boot request of a machine that chose its lease; None: it was not known."""
    if server is not None:
        return replace(server, last_seen=now)
    return OtherServer(
        address=address,
        mac=None,
        interface=interface,
        kind=ServerKind.DHCP,
        effect=ServerEffect.LEASES if here.leases else ServerEffect.UNSEEN,
        boot_file="",
        next_server="",
        has_menu=False,
        boot_client=None,
        first_seen=now,
        last_seen=now,
        offers=0,
    )


def _effect(reply: ServerReply, here: Here) -> ServerEffect:
    if reply.kind is ServerKind.PROXY:
        return ServerEffect.PXE_SERVER
    if here.leases:
        return ServerEffect.LEASES
    if reply.has_pxe_option:
        return ServerEffect.PXE_OPTION
    if not reply.boot_file:
        return ServerEffect.NONE
    return ServerEffect.LEADS_HERE if reply.leads_to(here.addresses) else ServerEffect.BOOT_FILE


_WHAT: Final = {ServerKind.DHCP: "the DHCP server", ServerKind.PROXY: "the PXE server"}

_DOES: Final = {
    ServerEffect.NONE: "leases addresses and sends no boot file",
    ServerEffect.LEADS_HERE: "sends {file}, which is this appliance",
    ServerEffect.BOOT_FILE: "sends {file}, so machines may boot that instead of netboot",
    ServerEffect.PXE_OPTION: "sends option 60 (PXEClient), so machines may boot from it instead of netboot",
    ServerEffect.PXE_SERVER: "answers boot requests, so machines may boot from it instead of netboot",
    ServerEffect.UNSEEN: "leases addresses, and its replies are not received here: it may send a boot file",
    ServerEffect.LEASES: "leases addresses beside netboot, so two machines may get the same address",
}

_CURES: Final = {
    ServerEffect.NONE: "",
    ServerEffect.LEADS_HERE: "",
    ServerEffect.BOOT_FILE: "remove boot file and next server (options 66 and 67) from it: dhcp-boot of dnsmasq, "
    "filename and next-server of ISC dhcpd, boot-file-name and next-server of Kea; docs/other-servers.md",
    ServerEffect.PXE_OPTION: "remove option 60 from its replies: pxe-service and dhcp-option=60 of dnsmasq, "
    "vendor-class-identifier of ISC dhcpd and Kea; docs/other-servers.md",
    ServerEffect.PXE_SERVER: "stop it, or let it ignore the machines of netboot; docs/other-servers.md",
    ServerEffect.UNSEEN: "verify that it sends no boot file (options 66 and 67) and no option 60; "
    "docs/other-servers.md",
    ServerEffect.LEASES: "stop it, or set dhcp.mode: proxy; docs/other-servers.md",
}

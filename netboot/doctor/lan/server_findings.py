"""Findings about other DHCP and PXE servers: who they are, what they offer, what that does to each firmware. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.doctor.lan import lan_checks
from netboot.doctor.lan.firmware_effects import effect_of, firmware_effects
from netboot.doctor.lan.heard_interface import HeardInterface
from netboot.doctor.lan.packets.server_offer import ServerOffer
from netboot.model.boot.other_server import OtherServer, ServerEffect, after_reply
from netboot.model.clock import utc_now

_OF_EFFECT: Final = {
    ServerEffect.NONE: (lan_checks.DHCP_SERVER, Level.NOTE),
    ServerEffect.LEADS_HERE: (lan_checks.BOOT_FILE, Level.NOTE),
    ServerEffect.UNSEEN: (lan_checks.DHCP_SERVER, Level.NOTE),
    ServerEffect.BOOT_FILE: (lan_checks.BOOT_FILE, Level.WARNING),
    ServerEffect.PXE_OPTION: (lan_checks.PXE_OPTION, Level.PROBLEM),
    ServerEffect.PXE_SERVER: (lan_checks.PXE_SERVER, Level.WARNING),
    ServerEffect.LEASES: (lan_checks.LEASE_SERVERS, Level.WARNING),
}
_WORST_FIRST: Final = (
    ServerEffect.PXE_OPTION,
    ServerEffect.LEASES,
    ServerEffect.PXE_SERVER,
    ServerEffect.BOOT_FILE,
    ServerEffect.LEADS_HERE,
    ServerEffect.NONE,
    ServerEffect.UNSEEN,
)
_RESERVATION: Final = "or set dhcp.mode: reservation, by which netboot leases addresses to its hosts itself"


def server_findings(found: HeardInterface) -> Iterator[DoctorFinding]:
    """Yield a finding for each server, then those about all of them."""
    servers = found.heard.offers_by_server()
    for offers in servers.values():
        yield _of_server(found, offers)
    lease_servers = [offers for (_, leases), offers in servers.items() if leases]
    if len(lease_servers) > 1 and not found.here.leases:
        yield _several(found, lease_servers)
    if not lease_servers and found.sends and not found.here.leases and not found.heard.only_switch_frames:
        yield _none(found)


def _of_server(found: HeardInterface, offers: Sequence[ServerOffer]) -> DoctorFinding:
    effects = {effect_of(offer, found.here, found.name): offer for offer in offers}
    effect = next(each for each in _WORST_FIRST if each in effects)
    seen = _as_seen(found, effects[effect])
    check, level = _OF_EFFECT[effect]
    is_queried = seen.address in found.boot_servers
    named = found.boot_servers.get(seen.address)
    effects_on = firmware_effects(offers, found.here, without_reply=is_queried and named is None)
    evidence = [*dict.fromkeys(offer.evidence for offer in offers)]
    if is_queried:
        evidence.append(f"port 4011 of {seen.address} {_named(named)}")
    evidence += [f"effect: {each}" for each in effects_on]
    return DoctorFinding(check, level, seen.sentence, tuple(evidence), seen.cure or None)


def _named(file: str | None) -> str:
    if file is None:
        return "did not reply"
    return f"names the boot file {file}" if file else "names no boot file"


def _as_seen(found: HeardInterface, offer: ServerOffer) -> OtherServer:
    """Return a server as `netboot check` shows it."""
    return after_reply(None, offer.reply, found.here, interface=found.name, answers_boot=False, now=utc_now())


def _several(found: HeardInterface, servers: Sequence[Sequence[ServerOffer]]) -> DoctorFinding:
    named = ", ".join(str(offers[0].server) for offers in servers)
    return DoctorFinding(
        lan_checks.LEASE_SERVERS,
        Level.WARNING,
        f"{len(servers)} DHCP servers lease addresses on {found.name}: {named}; unless they are a failover pair, "
        "two machines may get the same address",
        tuple(offers[0].evidence for offers in servers),
        "stop the one that does not belong to this LAN, or let each lease a range of its own",
    )


def _none(found: HeardInterface) -> DoctorFinding:
    if found.port_67_holder is not None:
        return DoctorFinding(
            lan_checks.DHCP_SERVER,
            Level.NOTE,
            f"no DHCP server replied on {found.name}, and {found.port_67_holder} on this appliance holds port 67: "
            "packets that this appliance sends do not reach a server of its own, so that one is not judged",
        )
    return DoctorFinding(
        lan_checks.DHCP_SERVER,
        Level.PROBLEM,
        f"no DHCP server leases addresses on {found.name}: every machine ends without an address, PXE-E51 or PXE-E18",
        (f"no reply to {len(found.heard.requests)} DISCOVERs in {found.seconds:g} s",),
        f"start a DHCP server on this LAN, let a relay forward to one, {_RESERVATION}",
    )

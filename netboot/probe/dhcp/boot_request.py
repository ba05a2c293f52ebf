"""Request a boot by DHCP as a machine's firmware does: offers, its choice, its lease, port 4011, its boot file."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from typing import Final
from urllib.parse import urlsplit

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_offer import BootOffer, MachineLease, PacketBootFile
from netboot.probe.dhcp.boot_server_request import request_from_boot_server
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer, is_url
from netboot.probe.dhcp.dhcp_exchange import DhcpExchange, lease_failed
from netboot.probe.dhcp.http_choice import EDK2_HTTP_RULES
from netboot.probe.dhcp.ipxe_choice import IPXE_RULES
from netboot.probe.dhcp.offer_choice import ChoiceRules, OfferChoice
from netboot.probe.dhcp.pxe_choice import EDK2_RULES, ROM_LONG_NAME_RULES, ROM_RULES
from netboot.probe.dhcp.reduced_choice import GRUB_BOOTP_RULES, LEASE_ONLY_RULES, RASPBERRY_RULES, U_BOOT_RULES
from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpRules
from netboot.probe.firmwares.firmware_profile import DhcpStage
from netboot.probe.firmwares.message_form import Filled, MessageForm, Values, written_message
from netboot.probe.lan.udp_frames import BOOT_SERVER_PORT, SERVER_PORT, Way
from netboot.probe.machine import HeldAddress, SimulatedMachine

RULES: Final[Mapping[DhcpRules, ChoiceRules]] = {
    DhcpRules.ROM: ROM_RULES,
    DhcpRules.EDK2: EDK2_RULES,
    DhcpRules.EDK2_HTTP: EDK2_HTTP_RULES,
    DhcpRules.IPXE: IPXE_RULES,
    DhcpRules.U_BOOT: U_BOOT_RULES,
    DhcpRules.ROM_LONG_NAME: ROM_LONG_NAME_RULES,
    DhcpRules.LEASE_ONLY: LEASE_ONLY_RULES,
    DhcpRules.GRUB_BOOTP: GRUB_BOOTP_RULES,
    DhcpRules.RASPBERRY_PI: RASPBERRY_RULES,
}
_MASK, _ROUTERS, _NAMESERVERS, _LEASE_TIME, _CLIENT_ID = 1, 3, 6, 51, 61
_RELEASE: Final = b"\x07"
_STARTS: Final = 5  # a server may offer one address to two machines at once, and refuse it to the second


async def request_boot(machine: SimulatedMachine, stage: DhcpStage = DhcpStage.FIRMWARE) -> BootOffer:
    """Do DHCP as the program of this stage does, and return the boot file that it chooses.

    The lease is held by the machine until `power_off`, at the latest until the interface is closed. Raises
    BootFailedError with what the firmware prints when it gives up.
    """
    client = machine.profile.client(stage)
    rules = RULES[client.rules]
    await _hold_fixed_address(machine)
    exchange, choice, ack = await _exchanged(machine, client, rules)
    lease = await _hold_lease(machine, client, ack) if ack is not None else None
    chosen, port = await _boot_answer(machine, client, exchange, choice=choice, ack=ack)
    file = rules.boot_file(chosen) if chosen is not None else ""
    local_boot = rules.local_boot(chosen) if chosen is not None else ""
    if chosen is None or not (file or local_boot):
        raise rules.no_file(exchange.heard, chosen or choice.lease)
    offer = BootOffer(
        server=chosen.boot_server,
        file=file,
        is_url=is_url(file),
        lease=lease,
        port=port,
        options=chosen.options,
        waited_s=exchange.waited_s,
        local_boot=local_boot,
        packets=_packet_boot_file(ack, choice.boot, chosen),
        offers=tuple(exchange.heard.offers),
    )
    await _reach(machine, offer)
    what = local_boot or f"boot file {file} of {offer.server}"
    machine.timeline.add(Step.OFFER, f"chose the offer of {chosen.server}: {what}")
    return offer


async def _exchanged(
    machine: SimulatedMachine, client: DhcpClient, rules: ChoiceRules
) -> tuple[DhcpExchange, OfferChoice, DhcpAnswer | None]:
    """Do DISCOVER and REQUEST, from the beginning after each NAK; return the choice and the ACK of its lease."""
    starts = _STARTS
    while True:
        exchange, choice, ack = await _exchanged_once(machine, client, rules)
        if ack is not None or choice.lease is None:
            return exchange, choice, ack
        starts -= 1
        if not starts:
            what = f"{choice.lease.server} refuses {choice.lease.yiaddr}, which it offered (NAK), {_STARTS} times"
            raise lease_failed(what, choice.lease)


async def _exchanged_once(
    machine: SimulatedMachine, client: DhcpClient, rules: ChoiceRules
) -> tuple[DhcpExchange, OfferChoice, DhcpAnswer | None]:
    xid = machine.lan.new_xid()
    with machine.lan.replies(xid) as queue:
        exchange = DhcpExchange(machine, client, rules, xid=xid, queue=queue)
        choice = await exchange.discover()
        return exchange, choice, await exchange.request(choice.lease) if choice.lease is not None else None


async def _boot_answer(
    machine: SimulatedMachine, client: DhcpClient, exchange: DhcpExchange, *, choice: OfferChoice,
    ack: DhcpAnswer | None,
) -> tuple[DhcpAnswer | None, int]:  # fmt: skip
    """Return the packet with the boot file, and the server's port that it came from."""
    rules = RULES[client.rules]
    proxy = choice.boot or (choice.lease if client.requests_boot_server else None)
    if proxy is not None and (choice.needs_boot_server or client.requests_boot_server):
        await machine.lan.reach(proxy.boot_server)
        answer = await request_from_boot_server(machine, client, exchange, proxy)
        if answer is not None:
            found = rules.chosen_answer(OfferChoice(choice.lease, answer), ack)
            return found, BOOT_SERVER_PORT if found is answer else SERVER_PORT
        if rules.no_boot_server:
            raise _boot_server_failed(rules, proxy)
        choice = OfferChoice(choice.lease)
    return rules.chosen_answer(choice, ack), SERVER_PORT


def _boot_server_failed(rules: ChoiceRules, proxy: DhcpAnswer) -> BootFailedError:
    if proxy.is_lease:
        cure = f"remove option 60 from the lease server {proxy.server}: no boot server listens on its port 4011"
    else:
        cure = f"verify that port 4011 of {proxy.boot_server} is open (firewall) and that a boot server has it"
    sentence = f"{proxy.boot_server} does not reply on port 4011; {rules.no_boot_server}"
    return BootFailedError(Step.PXE_REQUEST, sentence, cure=cure, evidence=(f"offer of {proxy}",))


async def _hold_fixed_address(machine: SimulatedMachine) -> None:
    if machine.fixed_address is not None and machine.address is None:
        await machine.hold(HeldAddress(machine.fixed_address))


async def _hold_lease(machine: SimulatedMachine, client: DhcpClient, ack: DhcpAnswer) -> MachineLease:
    """Use the address of an ACK, and remember the RELEASE for it."""
    mask = ack.addresses(_MASK)
    address = IPv4Interface(f"{ack.yiaddr}/{mask[0] if mask else 32}")
    routers = ack.addresses(_ROUTERS)
    lease = MachineLease(
        address, ack.server, ack.number(_LEASE_TIME) or 0, routers[0] if routers else None, ack.addresses(_NAMESERVERS)
    )
    text = f"has the lease of {address.ip} by {ack.server} for {lease.lease_s} s"
    machine.timeline.add(Step.OFFER, text, size_bytes=len(ack.data))
    same = [held for held in machine.held if held.address.ip == address.ip]
    await machine.hold(HeldAddress(address, (_release(machine, client, ack), _release_way(machine, ack))))
    for held in same:  # the address of an earlier stage, leased again
        machine.held.remove(held)
        await machine.lan.remove_address(held.address.ip)
    return lease


def _release(machine: SimulatedMachine, client: DhcpClient, ack: DhcpAnswer) -> bytes:
    identity = tuple((code, value) for code, value in client.request.options if code == _CLIENT_ID)
    form = MessageForm(((53, _RELEASE), (54, Filled.SERVER), *identity), 0, client.request.htype, client.request.chaddr)
    values = Values(machine.mac, machine.uuid, machine.lan.new_xid(), ciaddr=ack.yiaddr, server=ack.server)
    return written_message(form, values)


def _release_way(machine: SimulatedMachine, ack: DhcpAnswer) -> Way:
    return Way(machine.frame_mac, ack.source_mac, source=ack.yiaddr, destination=ack.server)


def _packet_boot_file(ack: DhcpAnswer | None, proxy: DhcpAnswer | None, chosen: DhcpAnswer) -> PacketBootFile | None:
    """Find what shim reads: `file` of the ACK if it is not empty, else of the proxy's offer, else of the PXE reply."""
    for answer, origin in ((ack, "the lease's ACK"), (proxy, "the proxy's offer"), (chosen, "the reply of port 4011")):
        if answer is not None and answer.file:
            return PacketBootFile(answer.siaddr, answer.file, origin)
    return None


async def _reach(machine: SimulatedMachine, offer: BootOffer) -> None:
    """Add routes to the servers of the boot file; behind the lease's gateway if they are in another network."""
    servers = [offer.server]
    if offer.is_url and (literal := _literal(offer.file)):
        servers.append(literal)
    for server in servers:
        far = offer.lease is not None and server not in offer.lease.address.network
        gateway = offer.lease.gateway if offer.lease is not None and far else None
        await machine.lan.reach(server, gateway=gateway)


def _literal(url: str) -> IPv4Address | None:
    try:
        return IPv4Address(urlsplit(url).hostname or "")
    except ValueError:
        return None

"""What an offer of another server does to each kind of firmware beside netboot's offer. Pure.

Each sentence is a rule of the firmware's source or of a measurement: EDK2 PxeBcDhcp4.c and HttpBootDhcp4.c, iPXE
dhcp.c, shim netboot.c, GRUB's "efinet: Add DHCP proxy support", U-Boot bootp.c; docs/firmware.md has them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from netboot.doctor.lan.packets.server_offer import Request, ServerOffer
from netboot.model.boot.other_server import Here, ServerEffect, after_reply
from netboot.model.clock import utc_now

_SHIM: Final = "shim and GRUB"
_U_BOOT: Final = "U-Boot"


def effect_of(offer: ServerOffer, here: Here, interface: str) -> ServerEffect:
    """Classify an offer as the daemon classifies it."""
    return after_reply(None, offer.reply, here, interface=interface, answers_boot=False, now=utc_now()).effect


def firmware_effects(offers: Iterable[ServerOffer], here: Here, *, without_reply: bool = False) -> tuple[str, ...]:
    """List what the offers of one server do, a line for each firmware that they affect.

    `without_reply`: the server did not reply to a request to its port 4011.
    """
    affecting = [each for each in offers if each.reply.offers_boot and not each.reply.leads_to(here.addresses)]
    lines = chain.from_iterable(_effects(each, without_reply=without_reply) for each in affecting)
    return tuple(dict.fromkeys(lines))


def _effects(offer: ServerOffer, *, without_reply: bool) -> Iterator[str]:
    match offer.request:
        case Request.BIOS:
            yield from _bios(offer, without_reply=without_reply)
        case Request.UEFI_PXE:
            yield from _uefi_pxe(offer, without_reply=without_reply)
            yield from _shim(offer)
        case Request.UEFI_HTTP:
            yield from _uefi_http(offer)
        case Request.IPXE:
            yield from _ipxe(offer)
        case Request.PLAIN:
            yield from _u_boot(offer)
        case Request.UNKNOWN:
            for request in (Request.UEFI_HTTP,) if offer.is_http else (Request.BIOS, Request.UEFI_PXE):
                yield from _effects(replace(offer, request=request), without_reply=False)


def _bios(offer: ServerOffer, *, without_reply: bool) -> Iterator[str]:
    if offer.leased is None:
        yield f"{Request.BIOS} boots from the offer that it receives first, this or netboot's"
    elif not offer.is_pxe:
        yield from _line(
            offer.boot_file and not offer.is_http,
            f"{Request.BIOS} that does not combine the offers of two servers loads {offer.file_text}",
        )
    elif offer.has_menu:
        yield f"{Request.BIOS} shows the boot menu of {offer.server} instead of loading from netboot"
    elif offer.boot_file:
        yield f"{Request.BIOS} loads {offer.file_text} instead of netboot's loader"
    else:
        yield f"{Request.BIOS} requests its boot file from {offer.server}, port 4011: {_end('PXE-E55', without_reply)}"


def _uefi_pxe(offer: ServerOffer, *, without_reply: bool) -> Iterator[str]:
    uses = f"{Request.UEFI_PXE} takes {offer.server} for its boot server and ignores netboot's offer"
    if offer.leased is None:
        has_43 = "boots from the first proxy offer with option 43, this or netboot's"
        yield f"{Request.UEFI_PXE} {has_43 if offer.option_43 else 'prefers the offer of netboot, which has option 43'}"
    elif offer.is_pxe and offer.boot_file:
        yield f"{uses}: it loads {offer.file_text}"
    elif offer.is_pxe:
        yield f"{uses}: {_end('PXE-E16', without_reply)}"


def _uefi_http(offer: ServerOffer) -> Iterator[str]:
    if offer.leased is None:
        yield from _line(offer.is_http, f"{Request.UEFI_HTTP} boots from one of two offers, this or netboot's")
    elif "://" in offer.boot_file:
        yield f"{Request.UEFI_HTTP} loads {offer.boot_file} instead of netboot's loader"
    elif offer.is_http:
        yield f"{Request.UEFI_HTTP} takes {offer.server} for its boot server, and its offer has no URI to boot from"


def _ipxe(offer: ServerOffer) -> Iterator[str]:
    if offer.leased is None:
        return  # netboot's offer has a priority in option 175 for iPXE
    if offer.is_pxe:
        yield f"{Request.IPXE} takes this lease for the PXE offer and does not wait for netboot's: it boots nothing"
    elif offer.ends_proxies:
        yield f"{Request.IPXE} does not wait for netboot's offer, because of option 175.176"
    elif offer.boot_file:
        yield f"{Request.IPXE} loads {offer.file_text} if netboot's offer comes later than the lease"


def _shim(offer: ServerOffer) -> Iterator[str]:
    if offer.leased and offer.file_field:
        where = offer.next_server or str(offer.server)
        directory = offer.file_field.rpartition("/")[0] or "/"
        yield f"{_SHIM} request their next files from {where}, directory {directory}, not from netboot"


def _u_boot(offer: ServerOffer) -> Iterator[str]:
    yield from _line(offer.leased and offer.boot_file, f"{_U_BOOT} loads {offer.file_text}")


def _line(condition: object, text: str) -> Sequence[str]:
    return (text,) if condition else ()


def _end(error: str, without_reply: bool) -> str:
    return f"it stops with {error}, because that port does not reply" if without_reply else f"{error} without a reply"

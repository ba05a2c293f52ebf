"""The choice of clients that read less than the PXE specification: ROMs that do not merge two offers, GRUB's net_bootp,
a Raspberry Pi, U-Boot (docs/wire.md).
"""

from dataclasses import replace
from typing import Final

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer
from netboot.probe.dhcp.offer_choice import (
    HeardOffers,
    OfferChoice,
    field_before_option,
    option_before_field,
    sub_options,
)
from netboot.probe.dhcp.pxe_choice import NOT_OFFERED, ROM_RULES

_RASPBERRY: Final = b"Raspberry Pi Boot"


def _choose_lease(heard: HeardOffers, _elapsed_s: float) -> OfferChoice | None:
    named = sorted(heard.leases, key=lambda each: not option_before_field(each))
    return OfferChoice(named[0]) if named else None


def _lease_only_no_file(heard: HeardOffers, _: DhcpAnswer | None) -> BootFailedError:
    return BootFailedError(
        Step.OFFER,
        "the lease names no boot file, and this firmware reads no proxy's offer; it prints PXE-E53: No boot filename "
        "received",
        cure="set options 66 and 67 on the lease server to the appliance and its loader",
        evidence=heard.evidence,
    )


LEASE_ONLY_RULES = replace(ROM_RULES, choose=_choose_lease, no_file=_lease_only_no_file)


def _choose_grub_bootp(heard: HeardOffers, elapsed_s: float) -> OfferChoice | None:
    """Take the lease; raise BootFailedError if a PXE server replies to this client, which did not request a boot."""
    foreign = [each for each in heard.offers if not each.is_lease]
    if foreign:
        raise BootFailedError(
            Step.OFFER,
            f"{foreign[0].server} sends a boot offer to a DISCOVER without PXEClient in option 60; clients that are no "
            "boot firmware, such as an installed system, get it too",
            cure="let that PXE server reply to PXEClient and HTTPClient only",
            evidence=heard.evidence,
        )
    return _choose_lease(heard, elapsed_s)


def _grub_bootp_no_file(heard: HeardOffers, _: DhcpAnswer | None) -> BootFailedError:
    sentence = (
        "the lease names no boot server and no file, and net_bootp reads no proxy's offer; GRUB has an address only"
    )
    cure = "set options 66 and 67 on the lease server, or boot by a firmware that requests PXE"
    return BootFailedError(Step.OFFER, sentence, cure=cure, evidence=heard.evidence)


def _grub_bootp_no_offer(heard: HeardOffers) -> BootFailedError:
    sentence = "no server offers an address; GRUB prints error: couldn't autoconfigure"
    cure = "start a DHCP server on this LAN"
    return BootFailedError(Step.OFFER, sentence, cure=cure, evidence=heard.evidence)


GRUB_BOOTP_RULES = replace(
    LEASE_ONLY_RULES, choose=_choose_grub_bootp, no_offer=_grub_bootp_no_offer, no_file=_grub_bootp_no_file
)


def _choose_raspberry(heard: HeardOffers, _elapsed_s: float) -> OfferChoice | None:
    named = [each for each in heard.offers if _RASPBERRY in sub_options(each.options.get(43, b"")).get(9, b"")]
    if not named or (heard.is_lease_needed and not heard.leases):
        return None
    return OfferChoice(heard.leases[0] if heard.leases else None, named[0])


def _raspberry_no_offer(heard: HeardOffers) -> BootFailedError:
    return BootFailedError(
        Step.OFFER,
        "no offer has 'Raspberry Pi Boot' in option 43.9; the ROM goes on with its next boot mode",
        cure="boot a Raspberry Pi with UEFI firmware from its card: it then requests as arm64",
        evidence=heard.evidence,
    )


RASPBERRY_RULES = replace(ROM_RULES, choose=_choose_raspberry, no_offer=_raspberry_no_offer)


def _choose_u_boot(heard: HeardOffers, _elapsed_s: float) -> OfferChoice | None:
    """Take the lease, and `siaddr` and `file` of a proxy that has both."""
    if heard.is_lease_needed and not heard.leases:
        return None
    lease = heard.leases[0] if heard.leases else None
    boot = next((each for each in heard.proxies if each.file and int(each.siaddr)), None)
    return OfferChoice(lease, boot) if boot or (lease and field_before_option(lease)) else None


def _u_boot_no_offer(heard: HeardOffers) -> BootFailedError:
    what = "no offer has a boot file that U-Boot reads" if heard.offers else "no server replied"
    sentence = f"{what}; U-Boot prints Retry time exceeded; starting again"
    return BootFailedError(Step.OFFER, sentence, cure=NOT_OFFERED, evidence=heard.evidence)


U_BOOT_RULES = replace(ROM_RULES, choose=_choose_u_boot, boot_file=field_before_option, no_offer=_u_boot_no_offer)

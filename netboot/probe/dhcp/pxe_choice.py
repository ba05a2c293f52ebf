"""The choice of firmware that follows the PXE specification: EDK2, and Intel's ROM.

EDK2: PxeBcDhcp4.c, PxeBcSelectDhcp4Offer; measured with OVMF 2022.11. ROM: PXE 2.1 (docs/wire.md).
"""

from dataclasses import replace
from typing import Final

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer, boot_file_until_zero, read_as_edk2_does
from netboot.probe.dhcp.offer_choice import (
    PXE_CLIENT,
    ChoiceRules,
    HeardOffers,
    OfferChoice,
    boot_answer,
    drops_nothing,
    has_boot_control,
    is_local_disk_menu,
    option_before_field,
    sub_options,
    takes_the_file,
    waits_to_the_end,
)

_LARGEST_EDK2: Final = 1472
NO_SERVER = "verify that the appliance and a DHCP server are on this LAN and that it serves this machine: netboot check"
_NO_LEASE = "start a DHCP server on this LAN, or set dhcp.mode: reservation in netboot.yaml"
NOT_OFFERED = "verify that netboot serves this machine and its architecture: netboot explain, and its log"


def edk2_drop_reason(answer: DhcpAnswer) -> str:
    """Return why EDK2's DHCP driver drops a reply before anything chooses it [edk2 Dhcp4Option.c]."""
    if answer.encoding_faults:
        return f"EDK2 drops the reply of {answer.source}: {answer.encoding_faults[0]}"
    if len(answer.data) > _LARGEST_EDK2:
        return f"EDK2 drops the reply of {answer.source}: {len(answer.data)} bytes, it takes {_LARGEST_EDK2}"
    return ""


def is_pxe(answer: DhcpAnswer) -> bool:
    """Return whether option 60 begins with PXEClient."""
    return answer.vendor_class.startswith(PXE_CLIENT)


def choose_ranked(heard: HeardOffers, _elapsed_s: float) -> OfferChoice | None:
    """Choose by the ranks of the PXE specification, as EDK2 has them."""
    leases, proxies = heard.leases, [each for each in heard.proxies if is_pxe(each)]
    plain = next((each for each in leases if not is_pxe(each)), None)
    if not heard.is_lease_needed:
        return _of_proxy(None, proxies)
    for lease in leases:
        if is_pxe(lease) and has_boot_control(lease):
            return OfferChoice(lease)
    with_control = [each for each in proxies if has_boot_control(each)]
    if plain and with_control:
        return _of_proxy(plain, with_control)
    bare = next((each for each in leases if is_pxe(each)), None)
    if bare:
        return OfferChoice(bare, bare, needs_boot_server=True)
    if plain and proxies:
        return _of_proxy(plain, proxies)
    named = next((each for each in leases if option_before_field(each)), None)
    return OfferChoice(named) if named else None


def _of_proxy(lease: DhcpAnswer | None, proxies: list[DhcpAnswer]) -> OfferChoice | None:
    """Take the first proxy's offer, with option 43 first; read again, as EDK2 does with its copy."""
    ranked = sorted(proxies, key=lambda each: not has_boot_control(each))
    if not ranked:
        return None
    boot = read_as_edk2_does(ranked[0])
    return OfferChoice(lease, boot, needs_boot_server=not has_boot_control(boot))


def _edk2_no_offer(heard: HeardOffers) -> BootFailedError:
    if not heard.offers and not heard.dropped:
        sentence, cure = "no server replied; EDK2 prints PXE-E18: Server response timeout", NO_SERVER
    elif heard.is_lease_needed and not heard.leases:
        sentence, cure = "no server offers an address; EDK2 prints PXE-E16: No valid offer received", _NO_LEASE
    else:
        sentence, cure = "no offer has a boot file; EDK2 prints PXE-E16: No valid offer received", NOT_OFFERED
    return BootFailedError(Step.OFFER, sentence, cure=cure, evidence=heard.evidence)


def _edk2_no_file(heard: HeardOffers, answer: DhcpAnswer | None) -> BootFailedError:
    server = f" of {answer.server}" if answer else ""
    sentence = f"the chosen reply{server} names no boot file; EDK2 prints PXE-E16: No valid offer received"
    return BootFailedError(Step.OFFER, sentence, cure=NOT_OFFERED, evidence=heard.evidence)


def _edk2_local_boot(answer: DhcpAnswer) -> str:
    has_file = option_before_field(answer)
    return "" if has_file or not takes_the_file(answer) else "PXE-E21: Remote boot cancelled"


EDK2_RULES = ChoiceRules(
    drop_reason=edk2_drop_reason,
    is_enough=waits_to_the_end,
    choose=choose_ranked,
    chosen_answer=boot_answer,
    boot_file=option_before_field,
    no_offer=_edk2_no_offer,
    no_file=_edk2_no_file,
    no_boot_server="EDK2 prints PXE-E16: No valid offer received",
    local_boot=_edk2_local_boot,
)


def _rom_no_offer(heard: HeardOffers) -> BootFailedError:
    if not heard.offers:
        sentence, cure = (
            "no server replied; the ROM prints PXE-E51: No DHCP or proxyDHCP offers were received",
            NO_SERVER,
        )
    elif heard.is_lease_needed and not heard.leases:
        sentence = "no server offers an address; the ROM prints PXE-E52: proxyDHCP offers were received. No DHCP offers"
        cure = _NO_LEASE
    else:
        sentence, cure = "no offer names a boot file; the ROM prints PXE-E53: No boot filename received", NOT_OFFERED
    return BootFailedError(Step.OFFER, sentence, cure=cure, evidence=heard.evidence)


def _rom_no_file(heard: HeardOffers, answer: DhcpAnswer | None) -> BootFailedError:
    if answer is not None and sub_options(answer.options.get(43, b"")).keys() & {6, 8, 9, 10}:
        sentence = (
            f"option 43 of {answer.server} leads to a discovery; the ROM prints PXE-E78: Could not locate boot server"
        )
        cure = "let option 43 be 06 01 08 ff and name the boot file, or remove option 43 from that server"
        return BootFailedError(Step.OFFER, sentence, cure=cure, evidence=heard.evidence)
    sentence = "the reply names no boot file; the ROM prints PXE-E53: No boot filename received"
    return BootFailedError(Step.OFFER, sentence, cure=NOT_OFFERED, evidence=heard.evidence)


def _rom_local_boot(answer: DhcpAnswer) -> str:
    has_file = option_before_field(answer)
    return "" if has_file or not is_local_disk_menu(answer) else "the ROM's menu has the local disk only"


ROM_RULES = ChoiceRules(
    drop_reason=drops_nothing,
    is_enough=waits_to_the_end,
    choose=choose_ranked,
    chosen_answer=boot_answer,
    boot_file=option_before_field,
    no_offer=_rom_no_offer,
    no_file=_rom_no_file,
    no_boot_server="the ROM prints PXE-E55: ProxyDHCP service did not reply to request on port 4011",
    local_boot=_rom_local_boot,
)
# Without a name in 67 it reads the field.
ROM_LONG_NAME_RULES = replace(ROM_RULES, boot_file=lambda answer: boot_file_until_zero(answer) or answer.file)

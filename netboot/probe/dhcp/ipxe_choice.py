"""iPXE's choice: it waits for a lease and a proxy's offer; the priority of option 175.1 decides between their files.

[ipxe net/udp/dhcp.c, usr/autoboot.c, usr/pxemenu.c]; measured with iPXE 1.0.0+git-20190125 (docs/wire.md).
"""

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer
from netboot.probe.dhcp.offer_choice import (
    PXE_CLIENT,
    ChoiceRules,
    HeardOffers,
    OfferChoice,
    drops_nothing,
    field_before_option,
    is_local_disk_menu,
    sub_options,
    takes_the_file,
)

_PROXY_TIMEOUT_S = 2  # DHCP_DISC_PROXY_TIMEOUT_SEC: after it, a lease alone is enough
_PRIORITY, _NO_PROXY = 1, 176  # sub-options of 175


def _encapsulated(answer: DhcpAnswer, code: int) -> int:
    return int.from_bytes(sub_options(answer.options.get(175, b"")).get(code, b""), "big")


def _proxy(heard: HeardOffers) -> DhcpAnswer | None:
    """Return the offer with class PXEClient of the highest priority; of equals, the last. A lease's counts too."""
    found: DhcpAnswer | None = None
    for each in heard.offers:
        if each.vendor_class.startswith(PXE_CLIENT) and (
            found is None or _encapsulated(each, _PRIORITY) >= _encapsulated(found, _PRIORITY)
        ):
            found = each
    return found


def _lease(heard: HeardOffers) -> DhcpAnswer | None:
    ranked = sorted(heard.leases, key=lambda each: _encapsulated(each, _PRIORITY))
    return ranked[-1] if ranked else None


def _is_enough(heard: HeardOffers) -> bool:
    lease = _lease(heard)
    if lease is None and heard.is_lease_needed:
        return False
    return _proxy(heard) is not None or (lease is not None and bool(_encapsulated(lease, _NO_PROXY)))


def _choose_ipxe(heard: HeardOffers, elapsed_s: float) -> OfferChoice | None:
    lease = _lease(heard) if heard.is_lease_needed else None
    proxy = _proxy(heard)
    if heard.is_lease_needed and lease is None:
        return None
    if not _is_enough(heard) and elapsed_s < _PROXY_TIMEOUT_S:
        return None
    if proxy is None and not heard.is_lease_needed:
        return None
    if lease is not None and (_encapsulated(lease, _NO_PROXY) or proxy is None or proxy.is_lease):
        return OfferChoice(lease)
    return OfferChoice(lease, proxy, needs_boot_server=proxy is not None and not _has_boot_data(proxy))


def _has_boot_data(answer: DhcpAnswer) -> bool:
    return bool(int(answer.siaddr) and field_before_option(answer)) or is_local_disk_menu(answer)


def _chosen_answer(choice: OfferChoice, ack: DhcpAnswer | None) -> DhcpAnswer | None:
    """Of lease and proxy take the file of higher priority; of equals, the lease's. A menu comes before any file."""
    if choice.boot is not None and _local_boot(choice.boot):
        return choice.boot
    if choice.boot is None or not field_before_option(choice.boot):
        return ack
    if ack is None or not field_before_option(ack):
        return choice.boot
    return choice.boot if _encapsulated(choice.boot, _PRIORITY) > _encapsulated(ack, _PRIORITY) else ack


def _local_boot(answer: DhcpAnswer) -> str:
    has_file = field_before_option(answer) and takes_the_file(answer)
    return "" if has_file or not is_local_disk_menu(answer) else "iPXE prints Local disk, and ends"


def _ipxe_no_offer(heard: HeardOffers) -> BootFailedError:
    what = "no server offers an address" if heard.offers else "no server replied"
    return BootFailedError(
        Step.OFFER,
        f"{what}; iPXE prints No configuration methods succeeded (https://ipxe.org/040ee119)",
        cure="start a DHCP server on this LAN, and verify that the link of this port is up (spanning tree)",
        evidence=heard.evidence,
    )


def _ipxe_no_file(heard: HeardOffers, answer: DhcpAnswer | None) -> BootFailedError:
    why = "the lease has no filename, and no proxy's offer arrived in time"
    cure = "verify that netboot serves this machine: netboot explain, and its log"
    if answer is not None and answer.vendor_class.startswith(PXE_CLIENT):
        why = f"the lease server {answer.server} sends option 60 = PXEClient, so iPXE does not wait for netboot's offer"
        cure = "remove option 60 from the lease server"
    return BootFailedError(Step.OFFER, f"{why}; iPXE prints Nothing to boot", cure=cure, evidence=heard.evidence)


IPXE_RULES = ChoiceRules(
    drop_reason=drops_nothing,
    is_enough=_is_enough,
    choose=_choose_ipxe,
    chosen_answer=_chosen_answer,
    boot_file=field_before_option,
    no_offer=_ipxe_no_offer,
    no_file=_ipxe_no_file,
    no_boot_server="",  # iPXE goes on without
    local_boot=_local_boot,
)

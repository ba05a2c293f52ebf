"""EDK2's choice among offers for HTTP boot.

[edk2 HttpBootDhcp4.c: HttpBootSelectDhcpOffer]; measured with OVMF 2022.11 (docs/wire.md).
"""

from ipaddress import IPv4Address
from urllib.parse import urlsplit

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer, is_url
from netboot.probe.dhcp.offer_choice import (
    HTTP_CLIENT,
    ChoiceRules,
    HeardOffers,
    OfferChoice,
    boot_answer,
    option_before_field,
    waits_to_the_end,
)
from netboot.probe.dhcp.pxe_choice import edk2_drop_reason

_NAMESERVER = 6
_TIMEOUT = "EDK2 prints Error: Server response timeout"


def _choose_http(heard: HeardOffers, _elapsed_s: float) -> OfferChoice | None:
    """Take a lease with a URI, else a lease and a proxy's URI; a URI with a name needs a name server in the lease."""
    leases: list[DhcpAnswer | None] = [*heard.leases] if heard.is_lease_needed else [None]
    for lease in leases:
        if lease is not None and _has_uri(lease, lease):
            return OfferChoice(lease)
    pairs = ((lease, proxy) for lease in leases for proxy in heard.proxies)
    return next((OfferChoice(lease, proxy) for lease, proxy in pairs if _has_uri(proxy, lease)), None)


def _has_uri(answer: DhcpAnswer, lease: DhcpAnswer | None) -> bool:
    uri = option_before_field(answer)
    if not answer.vendor_class.startswith(HTTP_CLIENT) or not is_url(uri):
        return False
    return _is_literal(urlsplit(uri).hostname) or (lease is not None and _NAMESERVER in lease.options)


def _is_literal(name: str | None) -> bool:
    try:
        IPv4Address(name or "")
    except ValueError:
        return False
    return True


def _http_no_offer(heard: HeardOffers) -> BootFailedError:
    classes = [each for each in heard.offers if each.vendor_class.startswith(HTTP_CLIENT)]
    if not heard.offers:
        sentence, cure = f"no server replied; {_TIMEOUT}", "verify that the appliance and a DHCP server are on this LAN"
    elif heard.is_lease_needed and not heard.leases:
        sentence, cure = f"no server offers an address; {_TIMEOUT}", "start a DHCP server on this LAN"
    elif not classes:
        sentence = f"no offer has the class HTTPClient in option 60; {_TIMEOUT}"
        cure = "verify that netboot serves this machine by HTTP: netboot explain, and its log"
    else:
        sentence = f"no offer of class HTTPClient has a URI that EDK2 can use; {_TIMEOUT}"
        cure = "name the server by its address in the URI, or send a name server (option 6) with the lease"
    return BootFailedError(Step.OFFER, sentence, cure=cure, evidence=heard.evidence)


def _http_no_file(heard: HeardOffers, _: DhcpAnswer | None) -> BootFailedError:
    sentence = f"the ACK has no URI although the offer had one; {_TIMEOUT}"
    return BootFailedError(Step.OFFER, sentence, cure="send option 67 in offer and ACK", evidence=heard.evidence)


EDK2_HTTP_RULES = ChoiceRules(
    drop_reason=edk2_drop_reason,
    is_enough=waits_to_the_end,
    choose=_choose_http,
    chosen_answer=boot_answer,
    boot_file=option_before_field,
    no_offer=_http_no_offer,
    no_file=_http_no_file,
    no_boot_server=_TIMEOUT,
)

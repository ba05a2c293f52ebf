"""One entry of `address_pools`: its keys, its values, and the checks of one pool.

Addresses are in OLVM's notation (`ipAddresses` of ocne's provider olvm): inclusive ranges, networks whose host bits may
be set, and single addresses, separated by commas.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise
from typing import Annotated, Any, Final, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from netboot.model.host.address_pool import AddressPool, AddressSpan, IpAddress, IpNetwork, unusable
from netboot.registry.host_values import Address6, AnyAddress
from netboot.yamlfile.faults import shown
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import Section, described, refuse
from netboot.yamlfile.value_kinds import Domain, MachineAddress, ValueKind

# The addresses of a host's network, each with the key of its pool that gives it.
POOL_KEYS: Final = {"address": "addresses", "address6": "addresses6"}

_ONLY_IPV6: Final = "IPv6 alone is not possible, because OCNE's nodes need IPv4"
_SUBNETS: Final = {4: "192.0.2.0/24", 6: "2001:db8::/64"}
_ADDRESSES: Final = {
    4: "192.0.2.40-192.0.2.50, 192.0.2.32/30, 192.0.2.60",
    6: "2001:db8::40-2001:db8::50, 2001:db8::60",
}


def _subnet(version: int) -> Callable[[Scalar], IpNetwork]:
    """Make the reader of a subnet; its host bits may be set, as OLVM permits."""

    def read(scalar: Scalar) -> IpNetwork:
        cure = f"write it as {_SUBNETS[version]}"
        try:
            network = ip_network(scalar.text, strict=False)
        except ValueError:
            raise refuse(f"{shown(scalar.text)} is not a network", cure) from None
        if network.version != version:
            if version == 4:
                cure = f"write it as subnet6, beside an IPv4 subnet, as {_SUBNETS[4]}"
                raise refuse(f"{network} is an IPv6 network, and {_ONLY_IPV6}", cure)
            raise refuse(f"{network} is an IPv4 network", cure)
        if "/" not in scalar.text:
            raise refuse(f"{shown(scalar.text)} has no prefix length", cure)
        if network.prefixlen == 0 or network.is_multicast or network.is_loopback or network.is_link_local:
            raise refuse(f"{network} is not a network of hosts", cure)
        return network

    return read


def _addresses(version: int) -> Callable[[Any], tuple[AddressSpan, ...]]:
    """Make the reader of addresses: one text, or a list of texts."""
    cure = f"write them as {_ADDRESSES[version]}"

    def read(value: Any) -> tuple[AddressSpan, ...]:
        spans: list[AddressSpan] = []
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, Scalar):
                raise refuse("must be a text or a list of texts", cure)
            if item.is_null or not item.text:
                raise refuse("is empty", cure)
            spans += (_span(part.strip(" "), version) for part in item.text.split(","))
        if not spans:
            raise refuse("is empty", cure)
        for before, after in pairwise(sorted(spans, key=lambda span: int(span.first))):
            if int(after.first) <= int(before.last):
                raise refuse(f"{before} and {after} share addresses", "write each address once")
        return tuple(spans)

    return read


def _span(text: str, version: int) -> AddressSpan:
    cure = f"write them as {_ADDRESSES[version]}"
    if not text:
        raise refuse("has nothing between two commas, or after the last", cure)
    first_text, dash, last_text = text.partition("-")
    try:
        if dash:
            first, last = ip_address(first_text.strip(" ")), ip_address(last_text.strip(" "))
        else:
            network = ip_network(text, strict=False)
            first, last = network.network_address, network.broadcast_address
    except ValueError:
        what = f"{shown(text)} is neither a range of addresses nor a network nor an address"
        raise refuse(what, cure) from None
    for address in (first, last):
        if address.version != version:
            key = "addresses6" if address.version == 6 else "addresses"
            raise refuse(f"{text} is of IPv{address.version}", f"write it in {key}")
    if int(last) < int(first):
        raise refuse(f"{text} ends before it begins", "write the lower address first")
    return AddressSpan(first, last, text)


def _text_or_list(characters: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": f"^{characters}$"}
    return WithJsonSchema({"oneOf": [text, {"type": "array", "items": text, "minItems": 1}]})


Subnet = Annotated[IPv4Network, ValueKind(_subnet(4), "IPv4 network")]
Subnet6 = Annotated[IPv6Network, ValueKind(_subnet(6), "IPv6 network")]
Addresses = Annotated[tuple[AddressSpan, ...], PlainValidator(_addresses(4)), _text_or_list("[0-9./, -]+")]
Addresses6 = Annotated[tuple[AddressSpan, ...], PlainValidator(_addresses(6)), _text_or_list("[0-9A-Fa-f:./, -]+")]


class PoolSection(Section):
    """Addresses of a LAN of which each host that names the pool gets one."""

    subnet: Subnet = Field(description="The network of the addresses.", examples=[_SUBNETS[4]])
    addresses: Addresses = Field(
        description="Ranges, networks and single addresses, separated by commas or as a list.",
        examples=[_ADDRESSES[4]],
    )
    gateway: MachineAddress | None = described(None, "The router of the subnet.")
    subnet6: Subnet6 | None = described(None, "The IPv6 network of the same LAN.")
    addresses6: Addresses6 | None = described(None, "IPv6 addresses, of which each host gets one too.")
    gateway6: Address6 | None = described(None, "The IPv6 router, in subnet6 or link-local.")
    nameservers: tuple[AnyAddress, ...] | None = described(None, "The addresses of name servers.")
    search: tuple[Domain, ...] | None = described(None, "The domains in which short names are searched.")

    @model_validator(mode="before")
    @classmethod
    def _has_ipv4(cls, value: Any) -> Any:
        if isinstance(value, dict):
            keys = value.keys()
            has_only_ipv6 = keys & {"subnet6", "addresses6"} and not keys & {"subnet", "addresses"}
            if has_only_ipv6 and keys <= cls.model_fields.keys():  # an unknown key may stand for one of IPv4
                cure = f"write it and addresses, as subnet: {_SUBNETS[4]}"
                raise refuse(f"is missing, and {_ONLY_IPV6}", cure, key="subnet")
        return value

    @model_validator(mode="after")
    def _is_one_lan(self) -> Self:
        _check_family(self.subnet, self.addresses, self.gateway)
        for key, other, example in (
            ("subnet6", "addresses6", _ADDRESSES[6]),
            ("addresses6", "subnet6", _SUBNETS[6]),
            ("gateway6", "subnet6", _SUBNETS[6]),
        ):
            if getattr(self, key) is not None and getattr(self, other) is None:
                what = f"is missing, and {key} is not used without it"
                raise refuse(what, f"write it, as {other}: {example}", key=other)
        if self.subnet6 is not None and self.addresses6 is not None:
            _check_family(self.subnet6, self.addresses6, self.gateway6)
        return self

    def pool(self, key: str) -> AddressPool | None:
        """Return the addresses of which a host gets one as its `address` or `address6`."""
        if key == "address":
            return AddressPool(self.subnet, self.addresses)
        return AddressPool(self.subnet6, self.addresses6) if self.subnet6 and self.addresses6 else None


def _check_family(subnet: IpNetwork, spans: Sequence[AddressSpan], gateway: IpAddress | None) -> None:
    """Refuse addresses that no host of the subnet can have, and a gateway that is none."""
    suffix = "6" if subnet.version == 6 else ""
    excluded = unusable(subnet)
    for span in spans:
        if span.first not in subnet or span.last not in subnet:
            raise refuse(f"{span} is outside {subnet}", "correct the addresses or the subnet", key=f"addresses{suffix}")
        if span.first == span.last and span.first in excluded:
            what = f"{span} is the {excluded[span.first]} address of {subnet}"
            raise refuse(what, "remove it", key=f"addresses{suffix}")
        if gateway is not None and gateway in span:
            what = f"{span} contains the gateway {gateway}"
            raise refuse(what, "write the addresses without it", key=f"addresses{suffix}")
    if gateway is None or gateway.is_link_local:
        return
    if gateway not in subnet:
        raise refuse(f"{gateway} is outside {subnet}", "correct the gateway or the subnet", key=f"gateway{suffix}")
    if gateway in excluded and subnet.version == 4:
        what = f"{gateway} is the {excluded[gateway]} address of {subnet}"
        raise refuse(what, "name the router", key=f"gateway{suffix}")

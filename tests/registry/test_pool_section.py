"""The values of one address pool: OLVM's notation, and each fault with its place and cure."""

import pytest

POOL = "address_pools: {{rack1: {{{pool}}}}}\n"
V4 = "subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.50"


def addresses(site, text: str, subnet: str = "192.0.2.0/24") -> list[str]:
    """Return the addresses that 300 hosts get from a pool with these, lowest first."""
    hosts = "".join(f"  w{n:03}: {{role: worker, mac: 52:54:00:00:{n >> 8:02x}:{n & 255:02x}}}\n" for n in range(300))
    pools = f"address_pools: {{rack1: {{subnet: {subnet}, addresses: {text}}}}}\n"
    site.write("hosts.yaml", f"{pools}defaults: {{network: {{pool: rack1}}}}\nhosts:\n{hosts}")
    return [str(each.address) for each in site.read().allocations]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.60", ["60"]),
        ("192.0.2.40-192.0.2.42", ["40", "41", "42"]),
        ('"192.0.2.40 - 192.0.2.42"', ["40", "41", "42"]),
        ("192.0.2.32/30", ["32", "33", "34", "35"]),
        ("192.0.2.161/30", ["160", "161", "162", "163"]),
        ('"192.0.2.60,192.0.2.40-192.0.2.41, 192.0.2.34/31"', ["34", "35", "40", "41", "60"]),
        ("[192.0.2.60, '192.0.2.40-192.0.2.41, 192.0.2.34/31']", ["34", "35", "40", "41", "60"]),
        ("192.0.2.0/30", ["1", "2", "3"]),
        ("192.0.2.252-192.0.2.255", ["252", "253", "254"]),
    ],
)
def test_addresses_are_written_in_the_notation_of_olvm(site, text: str, expected: list[str]):
    assert addresses(site, text) == [f"192.0.2.{last}" for last in expected]


def test_a_subnet_may_have_host_bits_and_one_of_two_addresses_has_no_broadcast_address(site):
    assert addresses(site, "192.0.2.161", "192.0.2.160/24") == ["192.0.2.161"]
    assert addresses(site, "192.0.2.0/31", "192.0.2.0/31") == ["192.0.2.0", "192.0.2.1"]


EXAMPLE = "write them as 192.0.2.40-192.0.2.50, 192.0.2.32/30, 192.0.2.60"
EXAMPLE6 = "write them as 2001:db8::40-2001:db8::50, 2001:db8::60"


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("addresses: 192.0.2.40", ["subnet: is missing; write it, as subnet: 192.0.2.0/24"]),
        (
            "subnet: 192.0.2.0/24",
            ["addresses: is missing; write it, as addresses: 192.0.2.40-192.0.2.50, 192.0.2.32/30, 192.0.2.60"],
        ),
        ("subnet: rack1, addresses: 192.0.2.40", ["subnet: 'rack1' is not a network; write it as 192.0.2.0/24"]),
        (
            "subnet: 192.0.2.0, addresses: 192.0.2.40",
            ["subnet: '192.0.2.0' has no prefix length; write it as 192.0.2.0/24"],
        ),
        (
            "subnet: 127.0.0.0/8, addresses: 127.0.0.9",
            ["subnet: 127.0.0.0/8 is not a network of hosts; write it as 192.0.2.0/24"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: 192.0.2.4x",
            [f"addresses: '192.0.2.4x' is neither a range of addresses nor a network nor an address; {EXAMPLE}"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: 192.0.2.40-50",
            [f"addresses: '192.0.2.40-50' is neither a range of addresses nor a network nor an address; {EXAMPLE}"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: '192.0.2.40,'",
            [f"addresses: has nothing between two commas, or after the last; {EXAMPLE}"],
        ),
        ("subnet: 192.0.2.0/24, addresses: []", [f"addresses: is empty; {EXAMPLE}"]),
        ("subnet: 192.0.2.0/24, addresses: ", [f"addresses: is empty; {EXAMPLE}"]),
        (
            "subnet: 192.0.2.0/24, addresses: {first: 192.0.2.40}",
            [f"addresses: must be a text or a list of texts; {EXAMPLE}"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: 192.0.2.50-192.0.2.40",
            ["addresses: 192.0.2.50-192.0.2.40 ends before it begins; write the lower address first"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: '192.0.2.40-192.0.2.50, 192.0.2.44/30'",
            ["addresses: 192.0.2.40-192.0.2.50 and 192.0.2.44/30 share addresses; write each address once"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: 192.0.2.250-192.0.3.4",
            ["addresses: 192.0.2.250-192.0.3.4 is outside 192.0.2.0/24; correct the addresses or the subnet"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: '192.0.2.40, 192.0.2.0'",
            ["addresses: 192.0.2.0 is the network address of 192.0.2.0/24; remove it"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: [192.0.2.255]",
            ["addresses: 192.0.2.255 is the broadcast address of 192.0.2.0/24; remove it"],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: 192.0.2.0/26, gateway: 192.0.2.1",
            ["addresses: 192.0.2.0/26 contains the gateway 192.0.2.1; write the addresses without it"],
        ),
        (
            f"{V4}, gateway: 192.0.3.1",
            ["gateway: 192.0.3.1 is outside 192.0.2.0/24; correct the gateway or the subnet"],
        ),
        (
            f"{V4}, gateway: 192.0.2.255",
            ["gateway: 192.0.2.255 is the broadcast address of 192.0.2.0/24; name the router"],
        ),
        (
            f"{V4}, pool: a",
            [
                "pool: no such key; known here: addresses, addresses6, gateway, gateway6, nameservers, "
                "search, subnet, subnet6"
            ],
        ),
        (
            "subnet: 192.0.2.0/24, addresses: '2001:db8::40, 192.0.2.40'",
            ["addresses: 2001:db8::40 is of IPv6; write it in addresses6"],
        ),
        (
            f"{V4}, subnet6: 2001:db8::/64, addresses6: 192.0.2.60",
            ["addresses6: 192.0.2.60 is of IPv4; write it in addresses"],
        ),
        (
            f"{V4}, subnet6: 2001:db8::/64, addresses6: ''",
            [f"addresses6: is empty; {EXAMPLE6}"],
        ),
        (
            f"{V4}, subnet6: 198.51.100.0/24, addresses6: '2001:db8::40'",
            ["subnet6: 198.51.100.0/24 is an IPv4 network; write it as 2001:db8::/64"],
        ),
        (
            f"{V4}, subnet6: 2001:db8::/64",
            [
                "addresses6: is missing, and subnet6 is not used without it; "
                "write it, as addresses6: 2001:db8::40-2001:db8::50, 2001:db8::60"
            ],
        ),
        (
            f"{V4}, addresses6: '2001:db8::40'",
            ["subnet6: is missing, and addresses6 is not used without it; write it, as subnet6: 2001:db8::/64"],
        ),
        (
            f"{V4}, gateway6: 'fe80::1'",
            ["subnet6: is missing, and gateway6 is not used without it; write it, as subnet6: 2001:db8::/64"],
        ),
        (
            f"{V4}, subnet6: 2001:db8::/64, addresses6: '2001:db8::'",
            ["addresses6: 2001:db8:: is the router anycast address of 2001:db8::/64; remove it"],
        ),
        (
            f"{V4}, subnet6: 2001:db8::/64, addresses6: '2001:db8::40', gateway6: '2001:db9::1'",
            ["gateway6: 2001:db9::1 is outside 2001:db8::/64; correct the gateway or the subnet"],
        ),
    ],
)
def test_a_pool_that_no_host_can_use_is_refused(site, pool: str, expected: list[str]):
    site.write("hosts.yaml", POOL.format(pool=pool))

    assert [fault.split(": ", 1)[1] for fault in site.faults()] == [f"address_pools.rack1.{each}" for each in expected]


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (
            "subnet6: 2001:db8::/64, addresses6: '2001:db8::40'",
            [
                "hosts.yaml:1:24: address_pools.rack1.subnet: is missing, and IPv6 alone is not possible, because "
                "OCNE's nodes need IPv4; write it and addresses, as subnet: 192.0.2.0/24"
            ],
        ),
        (
            "subnet: 2001:db8::/64, addresses: '2001:db8::40'",
            [
                "hosts.yaml:1:33: address_pools.rack1.subnet: 2001:db8::/64 is an IPv6 network, and IPv6 alone is not "
                "possible, because OCNE's nodes need IPv4; write it as subnet6, beside an IPv4 subnet, as 192.0.2.0/24",
                "hosts.yaml:1:59: address_pools.rack1.addresses: 2001:db8::40 is of IPv6; write it in addresses6",
            ],
        ),
    ],
)
def test_ipv6_alone_is_refused_with_the_reason(site, pool: str, expected: list[str]):
    site.write("hosts.yaml", POOL.format(pool=pool))

    assert site.faults() == expected


def test_a_name_of_a_pool_has_no_blanks(site):
    site.write("hosts.yaml", "address_pools: {rack 1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40}}\n")

    assert site.faults() == [
        "hosts.yaml:1:17: address_pools.rack 1: 'rack 1' is not a name of a pool; "
        "use letters, digits, hyphens and underscores"
    ]

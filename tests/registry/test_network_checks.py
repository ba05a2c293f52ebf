"""Faults of a host's network, each with its place and cure."""

import pytest

W1 = "hosts: {{w1: {{role: worker, mac: {mac}, network: {{{network}}}}}}}\n"
ONE, TWO = "52:54:00:00:00:01", "[52:54:00:00:00:01, 52:54:00:00:00:02]"
IB = "[b8:ce:f6:03:00:31:33:3e, b8:ce:f6:03:00:31:33:3f]"


@pytest.mark.parametrize(
    ("mac", "network", "expected"),
    [
        (
            ONE,
            "address6: 2001:db8::5",
            "network.address6: '2001:db8::5' has no prefix length; write it as 2001:db8::5/64",
        ),
        (
            ONE,
            "address6: fe80::5/64",
            "network.address6: fe80::5 is a link-local address, which every card makes itself; write a global one",
        ),
        (
            ONE,
            "gateway6: 2001:db8::1",
            "network.gateway6: is not used without address6; add address6: 2001:db8::101/64, or remove gateway6",
        ),
        (
            ONE,
            "address6: 2001:db8::5/64, gateway6: 2001:db9::1",
            "network.gateway6: the gateway 2001:db9::1 is outside 2001:db8::/64; correct the gateway or the prefix",
        ),
        (ONE, "vlan: 4095", "network.vlan: 4095 is out of range; write a whole number from 1 to 4094"),
        (ONE, "mtu: 576", "network.mtu: 576 is out of range; write a whole number from 1280 to 65535"),
        (
            ONE,
            "vlan: 120, interface: enp129s0f0np0",
            "network.interface: the interface makes a VLAN device of 17 characters, enp129s0f0np0.120; "
            "a device has 15 characters at most; write a shorter interface",
        ),
        (
            ONE,
            "bond: {mode: active-backup}",
            "network.bond: the bond needs two cards, and the host has one; "
            "list the MAC of each card, the one that boots first",
        ),
        (
            TWO,
            "bond: {mode: lacp}",
            "network.bond.mode: no such mode of a bond 'lacp'; known here: 802.3ad, active-backup, balance-alb, "
            "balance-rr, balance-tlb, balance-xor, broadcast",
        ),
        (
            TWO,
            "bond: {mode: 802.3ad, options: {arp_ip_target: '192.0.2.1,192.0.2.2'}}",
            "network.bond.options.arp_ip_target: '192.0.2.1,192.0.2.2' is not a value of a bond option; "
            "use letters, digits and ._:+-",
        ),
        (TWO, "bond: {}", "network.bond.mode: is missing; write it, as mode: active-backup"),
        (IB, "bond: {mode: active-backup}", "network.bond: the bond cannot be on an InfiniBand port; remove it"),
        (
            ONE,
            "routes: [{to: 198.51.100.1/24, via: 192.0.2.254}]",
            "network.routes[0].to: '198.51.100.1/24' is an address in a network; write 198.51.100.0/24",
        ),
        (
            ONE,
            "address: 192.0.2.5/24, routes: [{to: 198.51.100.0/24, via: 203.0.113.1}]",
            "network.routes: the router 203.0.113.1 of 198.51.100.0/24 is outside 192.0.2.0/24; "
            "correct it or the prefix",
        ),
        (
            ONE,
            "routes: [{to: 198.51.100.0/24, via: '2001:db8::1'}]",
            "network.routes: the router 2001:db8::1 of 198.51.100.0/24 is of another family; correct one of the two",
        ),
    ],
)
def test_a_network_that_cannot_be_made_is_refused(site, mac: str, network: str, expected: str):
    site.write("hosts.yaml", W1.format(mac=mac, network=network))

    assert [fault.split(": ", 1)[1] for fault in site.faults()] == [f"hosts.w1.{expected}"]


def test_a_shared_value_that_one_host_cannot_have_is_reported_at_that_host(site):
    site.write(
        "hosts.yaml",
        "defaults: {network: {bond: {mode: active-backup}}}\n"
        f"hosts:\n  a: {{role: worker, mac: {TWO}}}\n  b: {{role: worker, mac: 52:54:00:00:00:03}}\n",
    )

    assert site.faults() == [
        "hosts.yaml:4:26: hosts.b.mac: the bond (hosts.yaml:1:28) needs two cards, and the host has one; "
        "list the MAC of each card, the one that boots first"
    ]


def test_an_address_of_ipv6_of_two_hosts_is_refused(site):
    site.write(
        "hosts.yaml",
        "hosts:\n"
        "  a: {role: worker, mac: 52:54:00:00:00:01, network: {address6: 2001:db8::5/64}}\n"
        "  b: {role: worker, mac: 52:54:00:00:00:02, network: {address6: 2001:DB8:0::5/48}}\n",
    )

    assert site.faults() == [
        "hosts.yaml:3:65: hosts.b.network.address6: 2001:db8::5 belongs to a already (hosts.yaml:2:65); "
        "give each host its own"
    ]

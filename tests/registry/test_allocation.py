"""Which address a host gets from its pool, and that it keeps it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address

from fixtures.site import Site

from netboot.model.host.address_pool import RecordedAddress
from netboot.model.host.host import HostName
from netboot.registry.allocation import Recorded
from netboot.registry.load import Configuration

POOL = "rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.44, gateway: 192.0.2.1, nameservers: [192.0.2.2]}"
DAY = datetime(2026, 11, 29, tzinfo=UTC)


def record(*rows: tuple[str, str], day: int = 1) -> Recorded:
    """Return what a store has recorded: addresses and hosts."""
    at = DAY.replace(day=day)
    return {ip_address(address): RecordedAddress(ip_address(address), HostName(host), at) for address, host in rows}


def after(configuration: Configuration) -> Recorded:
    """Return what the store has after a configuration was put in force."""
    return record(*((str(each.address), each.host) for each in configuration.allocations))


def hosts(names: Iterable[str], own: Mapping[str, str] | None = None) -> str:
    """Write a section of hosts, each with what it has in its own network."""
    networks = {name: (own or {}).get(name, "") for name in names}
    lines = [
        f"  {name}: {{role: worker, mac: 52:54:00:00:00:{int(name[1:]):02x}, network: {{{network}}}}}\n"
        for name, network in networks.items()
    ]
    return "hosts:\n" + "".join(lines)


def written(site: Site, names: Iterable[str], *, own: Mapping[str, str] | None = None, pool: str = POOL) -> None:
    site.write(
        "hosts.yaml",
        f"address_pools:\n  {pool}\ndefaults: {{network: {{pool: rack1}}}}\n{hosts(names, own)}",
    )


def addresses(configuration: Configuration) -> dict[str, str]:
    assert [str(fault) for fault in configuration.faults] == []
    return {host.name: str(host.network.address) for host in configuration.hosts}


def test_hosts_get_the_lowest_free_addresses_in_the_order_of_declaration(site):
    written(site, ["w9", "w1", "w5"])

    assert addresses(site.read()) == {"w9": "192.0.2.40/24", "w1": "192.0.2.41/24", "w5": "192.0.2.42/24"}


def test_the_pool_gives_subnet_gateway_and_name_servers_and_the_hosts_own_values_replace_them(site):
    written(site, ["w1", "w2"], own={"w2": "gateway: 192.0.2.9, +nameservers: [192.0.2.3]"})

    w1, w2 = site.read().hosts

    assert (str(w1.network.gateway), [str(each) for each in w1.network.nameservers]) == ("192.0.2.1", ["192.0.2.2"])
    assert (str(w2.network.gateway), [str(each) for each in w2.network.nameservers]) == (
        "192.0.2.9",
        ["192.0.2.2", "192.0.2.3"],
    )
    assert (w1.network.pool, w2.network.pool) == ("rack1", "rack1")


def test_a_recorded_address_is_kept_when_hosts_are_added_removed_and_reordered_and_files_divided(site):
    written(site, ["w1", "w2", "w3"])
    recorded = after(site.read())

    written(site, ["w4", "w3", "w1"])
    site.write("hosts.d/0.yaml", hosts(["w5"]))

    assert addresses(site.read(recorded)) == {
        "w3": "192.0.2.42/24",
        "w1": "192.0.2.40/24",
        "w4": "192.0.2.43/24",
        "w5": "192.0.2.44/24",
    }


def test_a_host_that_was_removed_gets_its_address_again(site):
    written(site, ["w1", "w2"])
    recorded = after(site.read())
    written(site, ["w3"])
    recorded = {**recorded, **after(site.read(recorded))}

    written(site, ["w3", "w2", "w1"])

    assert addresses(site.read(recorded)) == {"w3": "192.0.2.42/24", "w2": "192.0.2.41/24", "w1": "192.0.2.40/24"}


def test_the_address_of_a_removed_host_is_given_to_another_only_if_no_other_is_free(site):
    recorded = record(("192.0.2.41", "w8"), ("192.0.2.43", "w9"), ("192.0.2.40", "w1"))

    written(site, ["w1", "w2", "w3", "w4", "w5"])
    configuration = site.read(recorded)

    assert addresses(configuration) == {
        "w1": "192.0.2.40/24",
        "w2": "192.0.2.42/24",
        "w3": "192.0.2.44/24",
        "w4": "192.0.2.41/24",
        "w5": "192.0.2.43/24",
    }
    assert [
        (each.host, each.recorded and each.recorded.host, each.is_recorded) for each in configuration.allocations
    ] == [
        ("w1", "w1", True),
        ("w2", None, False),
        ("w3", None, False),
        ("w4", "w8", False),
        ("w5", "w9", False),
    ]


def test_an_address_that_a_machine_of_the_files_has_is_not_allocated(site):
    own = {
        "w1": "address: 192.0.2.40/24",
        "w2": "gateway: 192.0.2.41",
        "w3": "nameservers: [192.0.2.42], routes: [{to: 198.51.100.0/24, via: 192.0.2.43}]",
    }
    written(site, ["w3", "w2", "w1", "w4"], own=own, pool=POOL.replace("2.44", "2.47"))

    assert addresses(site.read()) == {
        "w3": "192.0.2.44/24",
        "w2": "192.0.2.45/24",
        "w1": "192.0.2.40/24",
        "w4": "192.0.2.46/24",
    }


def test_a_host_with_its_own_address_has_the_gateway_of_the_pool_if_it_is_in_the_subnet(site):
    written(site, ["w1", "w2"], own={"w1": "address: 192.0.2.9/24", "w2": "address: 198.51.100.9/24"})

    configuration = site.read()

    assert configuration.allocations == ()
    networks = [host.network for host in configuration.hosts]
    assert [(str(each.gateway), len(each.nameservers)) for each in networks] == [("192.0.2.1", 1), ("None", 0)]


def test_a_host_that_was_pinned_to_an_address_gets_its_former_one_back(site):
    written(site, ["w1", "w2"])
    recorded = after(site.read())

    written(site, ["w1", "w2"], own={"w1": "address: 192.0.2.41/24"})
    refused = site.read(recorded)
    written(site, ["w1", "w2"], own={"w1": "address: 192.0.2.40/24"})
    pinned = site.read(recorded)
    written(site, ["w1", "w2"])

    assert len(refused.faults) == 1
    assert addresses(pinned) == addresses(site.read(recorded)) == {"w1": "192.0.2.40/24", "w2": "192.0.2.41/24"}


def test_a_pool_may_be_renamed_and_extended_and_a_host_whose_address_it_no_longer_has_gets_another(site):
    written(site, ["w1", "w2"])
    recorded = after(site.read())

    renamed = POOL.replace("rack1", "blue").replace("192.0.2.40-192.0.2.44", "192.0.2.30-192.0.2.40")
    site.write(
        "hosts.yaml", f"address_pools:\n  {renamed}\ndefaults: {{network: {{pool: blue}}}}\n{hosts(['w1', 'w2'])}"
    )

    assert addresses(site.read(recorded)) == {"w1": "192.0.2.40/24", "w2": "192.0.2.30/24"}


def test_the_pool_of_a_group_replaces_the_pool_of_the_defaults(site):
    site.write(
        "hosts.yaml",
        f"""\
        address_pools:
          {POOL}
          rack2: {{subnet: 198.51.100.0/24, addresses: [198.51.100.7], gateway: 198.51.100.1}}
        defaults: {{network: {{pool: rack1}}}}
        groups: {{second: {{network: {{pool: rack2}}}}}}
        hosts:
          w1: {{role: worker, mac: 52:54:00:00:00:01, groups: [second]}}
          w2: {{role: worker, mac: 52:54:00:00:00:02}}
        """,
    )

    configuration = site.read()

    assert addresses(configuration) == {"w1": "198.51.100.7/24", "w2": "192.0.2.40/24"}
    assert [str(host.network.gateway) for host in configuration.hosts] == ["198.51.100.1", "192.0.2.1"]


def test_a_host_gets_an_address_of_each_family_of_its_pool(site):
    both = POOL[:-1] + ", subnet6: 2001:db8::/64, addresses6: 2001:db8::/120, gateway6: 'fe80::1'}"
    written(site, ["w1", "w2", "w3"], own={"w2": "address6: 2001:db8::1/64"}, pool=both)

    networks = [host.network for host in site.read().hosts]

    assert [(str(each.address), str(each.address6), str(each.gateway6)) for each in networks] == [
        ("192.0.2.40/24", "2001:db8::2/64", "fe80::1"),
        ("192.0.2.41/24", "2001:db8::1/64", "fe80::1"),
        ("192.0.2.42/24", "2001:db8::3/64", "fe80::1"),
    ]


def test_ipv4_by_dhcp_beside_a_static_address_of_ipv6_is_accepted(site):
    site.write("hosts.yaml", hosts(["w1"], {"w1": "address6: 2001:db8::1/64"}))

    [host] = site.load().hosts

    assert (host.network.address, str(host.network.address6)) == (None, "2001:db8::1/64")

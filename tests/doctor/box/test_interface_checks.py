"""MTU, masters, leased addresses and two cards on one segment, in namespaces where a cure is tried."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor.box.conftest import Computer, link, settings_of
from fixtures.lan import Lan, a_lan
from netns import inside

from netboot.doctor.box.box_facts import BoxFacts
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.box.interface_checks import check_dhcp_client, check_masters, check_mtu, check_routing
from netboot.doctor.configuration.listening_checks import links_here
from netboot.doctor.doctor_finding import Level


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan(("192.0.2.10/24", "192.0.2.77/24"), ("198.51.100.10/24", "198.51.100.77/24")) as made:
        yield made


def inputs(lan: Lan, directory: Path) -> BoxInputs:
    """Return what the checks examine in the server's namespace, whose `s0` serves boots."""
    with inside(lan.server):
        links = asyncio.run(links_here())
    return BoxInputs(settings_of(directory), links, BoxFacts())


def run(lan: Lan, command: str) -> None:
    subprocess.run(["ip", "netns", "exec", lan.server, "sh", "-ec", command], check=True, timeout=10)


@pytest.mark.integration
def test_a_small_mtu_is_a_warning_and_the_cure_mends_it(lan: Lan, tmp_path: Path):
    lan.ip(lan.server, "link", "set", "s0", "mtu", "1400")

    [finding] = check_mtu(inputs(lan, tmp_path))

    assert finding.level is Level.WARNING
    assert "s0 has the MTU 1400" in finding.sentence
    assert "TFTP has blocks of at most 1368 bytes in place of 1468" in finding.sentence
    assert finding.cure is not None
    run(lan, finding.cure.partition(";")[0])
    assert list(check_mtu(inputs(lan, tmp_path))) == []


def test_an_mtu_below_what_every_host_must_receive_is_a_problem(computer: Computer):
    given = computer.inputs(links={"s0": link("192.0.2.10/24", mtu_bytes=500)})

    assert [finding.level for finding in check_mtu(given)] == [Level.PROBLEM]


def test_a_port_of_a_bridge_is_a_problem_that_names_the_bridge(computer: Computer):
    card = computer.root / "sys/class/net/s0"
    card.mkdir(parents=True)
    (card / "master").symlink_to(Path("../br0"))

    [finding] = check_masters(computer.inputs())

    assert (finding.level, finding.cure) == (Level.PROBLEM, "write br0 in network.interfaces, in place of s0")


@pytest.mark.integration
def test_an_address_that_is_leased_is_a_warning(lan: Lan, tmp_path: Path):
    given = inputs(lan, tmp_path)
    with inside(lan.server):
        assert list(check_dhcp_client(given)) == []
        lan.ip(
            lan.server, "address", "change", "192.0.2.10/24", "dev", "s0", "valid_lft", "600", "preferred_lft", "600"
        )
        [finding] = check_dhcp_client(given)

    assert finding.level is Level.WARNING
    assert "s0: inet 192.0.2.10/24 dynamic, valid for " in finding.evidence[0]


def test_the_cure_of_a_leased_address_is_that_of_the_program_that_manages_it(computer: Computer):
    # of `ip -j -4 address show dev s0`, iproute2 6.1, with NetworkManager 1.42
    computer.with_program(
        "ip",
        """echo '[{"ifindex":2,"ifname":"s0","addr_info":[{"family":"inet","local":"192.0.2.10","prefixlen":24,"""
        """"dynamic":true,"noprefixroute":true,"valid_life_time":3512,"preferred_life_time":3512}]}]'""",
    )
    (computer.root / "run/NetworkManager").mkdir(parents=True)

    [finding] = check_dhcp_client(computer.inputs())

    assert (finding.cure or "").startswith(
        "nmcli connection modify s0 ipv4.method manual ipv4.addresses 192.0.2.10/24 && nmcli connection up s0"
    )


@pytest.mark.integration
def test_two_cards_on_one_segment_are_a_warning_and_the_cure_mends_it(lan: Lan, tmp_path: Path):
    assert list(check_routing(inputs(lan, tmp_path))) == []
    lan.ip(lan.server, "address", "add", "192.0.2.11/24", "dev", "s1")
    run(lan, "sysctl -qw net.ipv4.conf.s0.rp_filter=1")
    given = inputs(lan, tmp_path)
    with inside(lan.server):
        arp, filtered = check_routing(given)
        for finding in (arp, filtered):
            assert finding.cure is not None
            run(lan, finding.cure.partition(";")[0])
        cured = list(check_routing(given))

    assert (arp.level, filtered.level) == (Level.WARNING, Level.WARNING)
    assert "s0 and s1 are both in 192.0.2.0/24" in arp.sentence
    assert filtered.evidence == ("net.ipv4.conf.s0.rp_filter: 1",)
    assert cured == []

"""Programs on our ports, and networks of containers and virtual machines."""

import socket
from contextlib import closing

import pytest
from doctor.box.conftest import Computer, link

from netboot.doctor.box.neighbour_checks import check_networks, check_ports
from netboot.doctor.doctor_finding import Level

DOCKER = "172.17.0.1/16"


def test_the_usual_networks_of_containers_are_no_finding(computer: Computer):
    given = computer.inputs(links={"docker0": link(DOCKER), "virbr0": link("192.168.122.1/24")})

    assert list(check_networks(given)) == []


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("docker0", 'set "default-address-pools" and "bip" in /etc/docker/daemon.json'),
        ("virbr0", "virsh net-edit"),
        ("eno9", "give one of the two another network: ip address show dev eno9"),
    ],
)
def test_a_network_inside_the_boot_lan_is_a_problem(computer: Computer, name: str, cure: str):
    given = computer.inputs(links={"s0": link("172.17.5.10/16"), name: link("172.17.8.1/24")})

    [finding] = check_networks(given)

    assert finding.level is Level.PROBLEM
    assert finding.sentence == (
        f"the network 172.17.8.0/24 of {name} overlaps 172.17.0.0/16, the boot LAN on s0: "
        f"answers to machines with such an address go to {name}"
    )
    assert (finding.cure or "").startswith(cure)


def test_a_larger_network_is_a_warning(computer: Computer):
    given = computer.inputs(links={"s0": link("172.17.5.10/24"), "docker0": link(DOCKER)})

    assert [finding.level for finding in check_networks(given)] == [Level.WARNING]


def held(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 0))
    return made


def test_a_program_on_another_address_is_a_note_and_the_daemon_itself_is_none(computer: Computer):
    with closing(held("127.0.0.3")) as other:
        settings = f"tftp: {{port: {other.getsockname()[1]}}}\n"
        [finding] = check_ports(computer.inputs(settings=settings))
        process = int(finding.sentence.partition("(process ")[2].partition(")")[0])
        of_the_daemon = list(check_ports(computer.inputs(settings=settings, daemon_runs=True, daemon_process=process)))

    assert finding.level is Level.NOTE
    assert "(TFTP) on 127.0.0.3, where no machine boots" in finding.sentence
    assert of_the_daemon == []


def test_a_socket_on_our_address_takes_what_relays_send(computer: Computer):
    with closing(held("127.0.0.4")) as other:
        given = computer.inputs(
            links={"s0": link("127.0.0.4/8")}, settings=f"dhcp: {{port: {other.getsockname()[1]}}}\n"
        )
        [finding] = check_ports(given)

    assert finding.level is Level.WARNING
    assert "it gets what relays send there, and netboot does not" in finding.sentence

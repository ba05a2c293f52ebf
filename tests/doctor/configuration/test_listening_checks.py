"""The interfaces, addresses and ports that the settings name, compared with a box."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from doctor.configuration.conftest import Write, link
from fixtures.files import SETTINGS

from netboot.doctor.configuration.check_report import CheckReport
from netboot.doctor.configuration.listening_checks import check_box, links_here
from netboot.model.host.network import InterfaceAddress

LAN = {"lo": link("127.0.0.1/8"), "s0": link("192.0.2.10/24")}
LOOPBACK = {"lo": link("127.0.0.1/8")}
ON_LOOPBACK = "network: {interfaces: [lo]}\n"
REST = SETTINGS.partition("\n")[2]


@contextmanager
def held(kind: int, address: str) -> Iterator[int]:
    """Hold a port that the kernel chooses."""
    with socket.socket(socket.AF_INET, kind) as bound:
        bound.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            bound.listen()
        yield bound.getsockname()[1]


def holder() -> str:
    return f"{Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"


def test_a_sound_box_has_no_finding(appliance: Write):
    assert check_box(appliance().settings, LAN, daemon_runs=True) == CheckReport()


def test_the_interfaces_of_this_box_are_read_with_their_addresses():
    lo = asyncio.run(links_here())["lo"]

    assert lo.addresses[0] == InterfaceAddress(IPv4Interface("127.0.0.1/8"))
    assert (lo.index, lo.is_up, lo.has_carrier) == (1, True, True)


@pytest.mark.parametrize(
    ("s0", "problem"),
    [
        pytest.param(None, "this appliance has no interface s0; it has lo; correct the name", id="missing"),
        pytest.param(link(), "s0 has no IPv4 address; give it one on the boot LAN", id="no-address"),
        pytest.param(link("192.0.2.10/24", is_up=False), "s0 is down; ip link set s0 up", id="down"),
    ],
)
def test_an_interface_that_cannot_serve_is_a_problem(appliance: Write, s0, problem: str):
    links = LOOPBACK | ({"s0": s0} if s0 else {})

    report = check_box(appliance().settings, links, daemon_runs=True)

    assert report == CheckReport(problems=[f"network.interfaces[0]: {problem}"])


def test_an_interface_without_a_carrier_is_a_warning(appliance: Write):
    links = LOOPBACK | {"s0": link("192.0.2.10/24", has_carrier=False)}

    report = check_box(appliance().settings, links, daemon_runs=True)

    assert report == CheckReport(warnings=["network.interfaces[0]: s0 has no carrier; check its cable and switch"])


def test_the_address_of_the_settings_is_one_that_the_interface_has(appliance: Write):
    links = LOOPBACK | {"s0": link("192.0.2.10/24", "192.0.2.250/24")}

    chosen = check_box(
        appliance("network: {interfaces: [{name: s0, address: 192.0.2.250}]}\n").settings, links, daemon_runs=True
    )
    absent = check_box(
        appliance("network: {interfaces: [{name: s0, address: 192.0.2.251}]}\n").settings, links, daemon_runs=True
    )
    unset = check_box(appliance().settings, links, daemon_runs=True)

    assert chosen == CheckReport()
    assert absent.problems == [
        "network.interfaces[0]: s0 has no address 192.0.2.251; it has 192.0.2.10/24, 192.0.2.250/24; correct address"
    ]
    assert unset.warnings == [
        "network.interfaces[0]: s0 has 192.0.2.10/24, 192.0.2.250/24; machines are answered from 192.0.2.10; "
        "write {name: s0, address: …} to choose another"
    ]


def test_the_addresses_of_http_listen_are_compared_with_the_box_and_with_what_machines_get(appliance: Write):
    nowhere = check_box(
        appliance("network: {interfaces: [s0]}\nhttp: {listen: [192.0.2.10, 192.0.2.251]}\n").settings,
        LAN,
        daemon_runs=True,
    )
    elsewhere = check_box(
        appliance("network: {interfaces: [s0]}\nhttp: {listen: [127.0.0.1]}\n").settings, LAN, daemon_runs=True
    )

    assert nowhere == CheckReport(
        problems=[
            "http.listen: no interface of this appliance has 192.0.2.251; it has 127.0.0.1, 192.0.2.10; "
            "give it to one, or correct it"
        ]
    )
    assert elsewhere == CheckReport(
        warnings=[
            "http.listen: machines on s0 are sent to 192.0.2.10, which is not listened on; "
            "add it, or set network.interfaces[0].advertise"
        ]
    )


def test_without_dhcp_the_other_server_has_to_name_this_box(appliance: Write):
    report = check_box(appliance("network: {interfaces: [s0]}\ndhcp: {mode: off}\n").settings, LAN, daemon_runs=True)

    assert report == CheckReport(
        warnings=[
            "dhcp.mode is off, so no machine is offered anything; the LAN's own DHCP server has to name this appliance"
        ]
    )


def test_each_port_that_another_program_holds_is_a_problem_that_names_the_program(appliance: Write):
    with (
        held(socket.SOCK_DGRAM, "0.0.0.0") as tftp,
        held(socket.SOCK_DGRAM, "0.0.0.0") as dhcp,
        held(socket.SOCK_STREAM, "127.0.0.1") as http,
        held(socket.SOCK_STREAM, "127.0.0.1") as admin,
    ):
        ports = f"tftp: {{port: {tftp}}}\ndhcp: {{port: {dhcp}}}\nhttp: {{port: {http}}}\n"
        settings = appliance(ON_LOOPBACK + ports, rest=REST.replace(":8470", f":{admin}")).settings
        in_use = check_box(settings, LOOPBACK, daemon_runs=False)
        while_the_daemon_runs = check_box(settings, LOOPBACK, daemon_runs=True)

    stop = f"is in use by {holder()}; stop it, or"
    assert in_use == CheckReport(
        problems=[
            f"tftp.port: UDP port {tftp} on lo {stop} give one of the two another port",
            f"dhcp.port: UDP port {dhcp} on lo {stop} "
            "dhcp.listen: packet answers beside a DHCP server that has the port",
            f"http.port: TCP port {http} on 127.0.0.1 {stop} give one of the two another port",
            f"admin.listen: TCP port {admin} on 127.0.0.1 {stop} give one of the two another port",
        ]
    )
    assert while_the_daemon_runs == CheckReport()


def test_a_port_without_another_program_and_packet_sockets_are_no_finding(appliance: Write):
    with held(socket.SOCK_DGRAM, "0.0.0.0") as dhcp:
        settings = appliance(f"{ON_LOOPBACK}dhcp: {{port: {dhcp}, listen: packet}}\n").settings
        report = check_box(settings, LOOPBACK, daemon_runs=False)

    assert report == CheckReport()


def test_the_ports_for_logs_are_checked_if_logs_are_received(appliance: Write):
    with held(socket.SOCK_STREAM, "127.0.0.1") as port:
        settings = appliance(f"{ON_LOOPBACK}logs: {{listen: {port}}}\n").settings
        report = check_box(settings, LOOPBACK, daemon_runs=False)

    stop = f"is in use by {holder()}; stop it, or give one of the two another port"
    assert report == CheckReport(problems=[f"logs.listen: TCP port {port} on 127.0.0.1 {stop}"])


def test_a_port_that_cannot_be_opened_for_another_reason_is_a_problem(appliance: Write):
    settings = appliance("network: {interfaces: [s0]}\n").settings

    report = check_box(settings, {"s0": link("192.0.2.10/24")}, daemon_runs=False)

    assert report.problems == [
        "tftp.port: cannot open UDP port 69: No such device",
        "dhcp.port: cannot open UDP port 67: No such device",
        "dhcp.pxe_port: cannot open UDP port 4011: No such device",
        "http.port: cannot open TCP port 8080: Cannot assign requested address",
    ]


def test_a_tftp_server_bound_to_our_address_receives_our_requests(appliance: Write):
    with held(socket.SOCK_DGRAM, "127.0.0.1") as port:
        settings = appliance(f"{ON_LOOPBACK}tftp: {{port: {port}}}\n").settings
        report = check_box(settings, LOOPBACK, daemon_runs=True)

    assert report == CheckReport(
        problems=[
            f"UDP port {port} on 127.0.0.1 belongs to {holder()}, whose socket is bound to that address: TFTP requests "
            f"do not reach netboot; stop it (ss -lunp 'sport = :{port}' names it), or take this service out of it"
        ]
    )


def test_the_path_of_the_control_socket_is_short_and_no_other_file(appliance: Write, tmp_path: Path):
    (tmp_path / "file.sock").write_text("")
    file = check_box(appliance(rest=REST.replace("control.sock", "file.sock")).settings, LAN, daemon_runs=True)
    long = check_box(appliance(rest=REST.replace("control.sock", "x" * 108)).settings, LAN, daemon_runs=True)

    path = tmp_path / ("x" * 108)
    assert file.problems == [f"admin.socket: {tmp_path}/file.sock is not a socket; remove it, or choose another path"]
    assert long.problems == [
        f"admin.socket: {path} has {len(str(path))} bytes, and a Unix socket's path has at most 107; "
        "choose a shorter path"
    ]

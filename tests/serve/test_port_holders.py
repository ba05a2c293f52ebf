"""The program that holds a port is named, whatever its process and others do meanwhile."""

import socket
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.serve.net import port_holders

UDP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  12: 0A0200C0:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
  13: 0A0200C0:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0
"""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc with one socket on port 69, of no process yet."""
    (tmp_path / "self" / "net").mkdir(parents=True)
    (tmp_path / "self" / "net" / "udp").write_text(UDP)
    monkeypatch.setattr(port_holders, "_PROC", tmp_path)
    return tmp_path


def add_process(proc: Path, number: int, name: str, *targets: str) -> Path:
    """Add a process with a descriptor for each target; one that is empty was closed while it was read."""
    descriptors = proc / str(number) / "fd"
    descriptors.mkdir(parents=True)
    (proc / str(number) / "comm").write_text(f"{name}\n")
    for descriptor, target in enumerate(targets):
        if target:
            (descriptors / str(descriptor)).symlink_to(target)
        else:
            (descriptors / str(descriptor)).touch()  # it cannot be read as a link, as one that is gone
    return descriptors


def test_the_oldest_process_with_the_socket_is_named(proc: Path):
    add_process(proc, 812, "dnsmasq", "/dev/null", "socket:[4711]")
    add_process(proc, 9001, "sh", "socket:[4711]")

    assert port_holders.holders("udp", 69) == [(IPv4Address("192.0.2.10"), "dnsmasq (process 812)")]


def test_a_process_that_closes_files_meanwhile_is_still_named(proc: Path):
    add_process(proc, 812, "dnsmasq", *[""] * 20, "socket:[4711]", *[""] * 20)
    add_process(proc, 9001, "sh", "socket:[4711]")

    assert port_holders.holders("udp", 69) == [(IPv4Address("192.0.2.10"), "dnsmasq (process 812)")]


def test_a_process_that_ends_meanwhile_or_may_not_be_read_is_another_program(proc: Path):
    add_process(proc, 812, "dnsmasq", "socket:[4711]")
    (proc / "812" / "comm").unlink()

    assert port_holders.holders("udp", 69) == [(IPv4Address("192.0.2.10"), "another program")]


def test_a_socket_on_our_address_is_a_problem_and_one_on_another_is_none(proc: Path):
    add_process(proc, 812, "tftpd", "socket:[4711]")
    ours, other = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.11")

    assert port_holders.shadow_problems(69, [other], what="TFTP requests") == []
    assert port_holders.shadow_problems(69, [ours], what="TFTP requests") == [
        "UDP port 69 on 192.0.2.10 belongs to tftpd (process 812), whose socket is bound to that address: TFTP "
        "requests do not reach netboot; stop it (ss -lunp 'sport = :69' names it), or take this service out of it"
    ]


@pytest.mark.parametrize(
    ("address", "shown"),
    [("::", "0.0.0.0"), ("::ffff:127.0.0.5", "127.0.0.5"), ("::1", None)],
)
def test_a_socket_of_ipv6_that_gets_ipv4_is_listed(address: str, shown: str | None):
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as held:
        held.bind((address, 0))
        found = port_holders.holders("udp", held.getsockname()[1])

    assert [str(each) for each, _ in found] == ([] if shown is None else [shown])

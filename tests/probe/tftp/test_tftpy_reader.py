"""tftpy reads from tftpd-hpa, and ends where it cannot."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from fixtures.file_servers import tftpd_hpa
from fixtures.lan import Lan, a_lan
from netns import inside

from netboot.probe.tftp.tftpy_reader import ForeignReadError, read_by_tftpy

SERVER = IPv4Address("192.0.2.10")
LOADER = os.urandom(100_000)


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """A LAN with tftpd-hpa on port 69."""
    directory = tmp_path_factory.mktemp("tftp")
    (directory / "snponly.efi").write_bytes(LOADER)
    with a_lan((f"{SERVER}/24", "192.0.2.50/24")) as lan, tftpd_hpa(lan.server, str(SERVER), directory):
        yield lan


def read(lan, name, *, port=69, timeout_s=5.0):
    with inside(lan.client):
        return asyncio.run(read_by_tftpy(SERVER, name, timeout_s=timeout_s, port=port))


def test_a_file_is_read_whole(lan):
    assert read(lan, "snponly.efi") == LOADER


def test_a_missing_file_is_an_error_with_its_name(lan):
    with pytest.raises(ForeignReadError, match=r"tftpy cannot read other\.efi from 192\.0\.2\.10"):
        read(lan, "other.efi")


def test_a_server_that_sends_nothing_is_given_up_in_time(lan):
    with inside(lan.server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((str(SERVER), 1069))
        began_s = time.monotonic()

        with pytest.raises(ForeignReadError):
            read(lan, "snponly.efi", port=1069, timeout_s=1.0)

        assert time.monotonic() - began_s < 3


@pytest.mark.parametrize(
    "reply",
    [
        b"\0\6blksize\0\xff\xfe\0",
        b"\0\6blksize\0",
        b"\0\6blksize\0" + b"9" * 500 + b"\0",
        b"\0\5\0\1\x1b[2J\x9b\0",
        b"\0\3",
        b"\0\xff",
        b"",
        b"\0\3\0\1" + bytes(60_000),
    ],
)
def test_a_hostile_datagram_is_a_failure_in_one_printable_line(reply: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(5)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    bound.sendto(reply, bound.recvfrom(4096)[1])

        threading.Thread(target=serve, daemon=True).start()
        port = bound.getsockname()[1]
        with pytest.raises(ForeignReadError) as failed:
            asyncio.run(read_by_tftpy(IPv4Address("127.0.0.1"), "snponly.efi", timeout_s=1.0, port=port))

    assert str(failed.value).isprintable()


def test_a_server_that_repeats_a_block_for_ever_is_given_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))

        def serve() -> None:
            client = bound.recvfrom(4096)[1]
            end_s = time.monotonic() + 20
            with suppress(OSError):
                while time.monotonic() < end_s:
                    bound.sendto(b"\0\3\0\1" + bytes(512), client)
                    time.sleep(0.01)

        threading.Thread(target=serve, daemon=True).start()
        began_s = time.monotonic()
        port = bound.getsockname()[1]
        with pytest.raises(ForeignReadError):
            asyncio.run(read_by_tftpy(IPv4Address("127.0.0.1"), "snponly.efi", timeout_s=1.0, port=port))

    assert time.monotonic() - began_s < 15

"""tftpy reads from tftpd-hpa, and ends where it cannot."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
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

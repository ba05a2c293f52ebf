"""The daemon notifies the service manager, if there is one, and no text of a status ends it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from netboot.app.running.process import notify_systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def test_assignments_are_lines_of_one_datagram(manager: socket.socket):
    notify_systemd("READY=1", "STATUS=serving 3 hosts")

    assert manager.recv(4096) == b"READY=1\nSTATUS=serving 3 hosts"


def test_a_file_name_that_is_not_utf_8_in_the_status_is_sent_in_part(manager: socket.socket):
    notify_systemd("STATUS=cannot read media/\udcff")

    assert manager.recv(4096) == b"STATUS=cannot read media/?"


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_without_a_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    notify_systemd("READY=1")

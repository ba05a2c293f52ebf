"""The process of the daemon of some settings, and what else holds the port that it may hold."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from doctor.box.conftest import settings_of
from fixtures.lan import a_lan
from fixtures.nobody import as_nobody
from netns import inside

from netboot.doctor.daemon_process import process_of_daemon
from netboot.doctor.lan.lan_inputs import read_lan_inputs
from netboot.settings.settings import Settings
from netboot.store.locks.file_lock import FileLock


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path, f"admin: {{socket: {tmp_path}/control.sock}}\n")


def held(settings: Settings, owner: str) -> FileLock:
    """Hold the lock of the control socket as a daemon does."""
    lock = FileLock(settings.admin.socket)
    assert asyncio.run(lock.take(owner=owner))
    return lock


def test_the_process_is_that_which_holds_the_lock_now(settings: Settings):
    before = process_of_daemon(settings)
    lock = held(settings, "pid 4711 on rack1")
    running = process_of_daemon(settings)
    asyncio.run(lock.release())

    assert (before, running, process_of_daemon(settings)) == (None, 4711, None)


def test_a_lock_that_names_no_process_or_may_not_be_read_is_of_an_unknown_one(settings: Settings):
    lock = held(settings, "another daemon")
    unnamed = process_of_daemon(settings)
    lock.path.chmod(0)
    with as_nobody():
        unreadable = process_of_daemon(settings)
    asyncio.run(lock.release())

    assert (unnamed, unreadable) == (None, None)


@pytest.mark.parametrize(
    ("daemon_runs", "owner", "is_named"),
    [
        (False, "", True),
        (True, f"pid {os.getpid()}", False),
        (True, "pid 1", True),
        (True, "a daemon", False),  # it may be the one that holds the port
    ],
)
def test_who_holds_the_port_of_dhcp_is_named_unless_it_may_be_the_daemon(
    settings: Settings, daemon_runs: bool, owner: str, is_named: bool
):
    with a_lan(("192.0.2.10/24", "192.0.2.50/24")) as lan, inside(lan.server):
        lock = held(settings, owner)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
            port.bind(("192.0.2.10", 67))
            found = asyncio.run(read_lan_inputs(settings, ["s0"], seconds=1.0, sends=False, daemon_runs=daemon_runs))
        asyncio.run(lock.release())

    assert (found.port_67_holder is not None) is is_named
    assert found.port_67_holder is None or found.port_67_holder.endswith(f"(process {os.getpid()})")
    assert (found.interfaces, found.seconds, found.sends, found.leases) == (("s0",), 1.0, False, False)

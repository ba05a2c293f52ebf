"""Whether a daemon runs is known for certain before anybody works without it."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from netboot.cli.administration import is_answered
from netboot.client import ControlClient, DeafDaemonError, NoDaemonError


def test_no_socket_and_one_that_a_crash_left_behind_are_no_daemon(tmp_path: Path):
    remains = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(remains))

    assert is_answered(remains) is False
    assert is_answered(tmp_path / "none.sock") is False


def test_a_daemon_too_busy_to_take_a_connection_is_a_daemon(tmp_path: Path):
    busy = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as daemon, socket.socket(socket.AF_UNIX) as first:
        daemon.bind(str(busy))
        daemon.listen(0)
        first.connect(str(busy))

        with pytest.raises(DeafDaemonError) as caught:
            is_answered(busy)

    assert str(caught.value).startswith(f"the daemon on {busy} does not answer")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without the right")
def test_who_has_no_right_to_the_socket_is_told_so(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("private")
    (directory / "inner").mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(DeafDaemonError) as caught:
            is_answered(directory / "inner" / "control.sock")
    finally:
        os.seteuid(0)

    assert "no right to" in str(caught.value)


def test_a_question_to_nobody_says_how_to_start_a_daemon(tmp_path: Path):
    async def ask() -> object:
        async with ControlClient(tmp_path / "control.sock") as client:
            return await client.status()

    with pytest.raises(NoDaemonError) as caught:
        asyncio.run(ask())

    assert str(caught.value) == (
        f"no daemon listens on {tmp_path}/control.sock; systemctl start netboot, or netboot serve"
    )

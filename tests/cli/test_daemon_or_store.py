"""A command works without a daemon only if certainly no daemon runs."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from netboot.admin.json_views import json_view
from netboot.cli.commands.daemon_or_store import administration
from netboot.client import ControlClient
from netboot.control_socket import ApiServer, DeafDaemonError, NoDaemonError, is_answered
from netboot.errors import ConfigError
from netboot.operate.arming import ArmRequest


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
def test_a_user_without_right_to_the_socket_gets_the_cure(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("private")
    (directory / "inner").mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(DeafDaemonError) as caught:
            is_answered(directory / "inner" / "control.sock")
    finally:
        os.seteuid(0)

    assert "no right to" in str(caught.value)


def test_a_command_without_a_daemon_prints_how_to_start_one(tmp_path: Path):
    async def ask() -> object:
        async with ControlClient(tmp_path / "control.sock") as client:
            return await client.status()

    with pytest.raises(NoDaemonError) as caught:
        asyncio.run(ask())

    assert str(caught.value) == (
        f"no daemon listens on {tmp_path}/control.sock; systemctl start netboot, or netboot serve"
    )


def test_a_daemon_that_hangs_is_waited_for_with_a_line_and_then_named_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("netboot.client.SLOW_S", 0.05)
    monkeypatch.setattr("netboot.client.ANSWER_S", 0.3)
    path, shown = tmp_path / "control.sock", list[str]()

    async def ask() -> object:
        async with ControlClient(path, report=shown.append) as client:
            return await client.status()

    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
        daemon.listen()
        with pytest.raises(DeafDaemonError) as caught:
            asyncio.run(ask())

    assert shown == [f"the daemon on {path} does not answer yet; waiting 0 s more"]
    assert "systemctl restart netboot" in str(caught.value)


def test_a_fault_in_the_hosts_does_not_stand_between_a_person_and_the_daemon(tmp_path: Path):
    config = tmp_path / "netboot.yaml"
    config.write_text("admin: {socket: control.sock}\nstore: {url: sqlite+aiosqlite:///netboot.db}\n")
    (tmp_path / "hosts.yaml").write_text("hosts: {cp1: {rol: worker}}\n")

    async def open_it() -> object:
        async with administration(config) as opened:
            return opened

    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "control.sock"))
        daemon.listen()
        beside = asyncio.run(open_it())

    assert isinstance(beside, ControlClient)
    with pytest.raises(ConfigError):
        asyncio.run(open_it())


def test_faulty_hosts_files_that_were_never_accepted_do_not_hide_what_is_armed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config, hosts = tmp_path / "netboot.yaml", tmp_path / "hosts.yaml"
    config.write_text("admin: {socket: control.sock}\nstore: {url: sqlite+aiosqlite:///netboot.db}\n")
    hosts.write_text("hosts: {w1: {role: worker, mac: 52:54:00:12:34:56}}\n")

    async def arm() -> None:
        async with administration(config) as opened:
            await opened.arm(ArmRequest(["w1"], force=True))

    async def cancel() -> tuple[list[tuple[str, bool, bool]], list[str]]:
        async with administration(config, needs_hosts=False) as opened:
            installs = json_view(await opened.installs())
            assert [view["arming"]["changes"] for view in installs] == [[]]
            listed = [(view["host"], view["armed"], view["declared"]) for view in installs]
            return listed, json_view(await opened.cancel("w1"))["notes"]

    asyncio.run(arm())
    hosts.write_text("hosts: {w1: {rol: worker, mac: 52:54:00:12:34:56}}\n")

    assert asyncio.run(cancel()) == ([("w1", True, True)], ["w1 is not armed; it boots its own disk"])
    assert "hosts.w1.rol" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://appliance.example.org:8470", "https://appliance.example.org:8470"),
        ("https://appliance.example.org:8470/", "https://appliance.example.org:8470"),
        ("appliance.example.org:8470", "https://appliance.example.org:8470"),
        ("http://127.0.0.1:8470", "http://127.0.0.1:8470"),
        ("http://localhost:8470", "http://localhost:8470"),
    ],
)
def test_the_url_of_an_api_is_its_host_and_port(text: str, url: str):
    assert ApiServer.parse(text).url == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://192.0.2.10:8470", "clear text"),
        ("https://192.0.2.10:8470/api/v1", "more than a host and a port"),
        ("https://user@192.0.2.10", "more than a host and a port"),
        ("ftp://192.0.2.10", "is not a URL"),
        ("https://", "is not a URL"),
    ],
)
def test_a_url_that_would_show_the_token_or_leads_elsewhere_is_refused(text: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        ApiServer.parse(text)


def test_the_token_of_an_api_is_in_no_representation():
    assert "nb_secret" not in repr(ApiServer.parse("https://192.0.2.10", token="nb_secret"))


def test_an_api_that_does_not_answer_is_named_with_the_cure():
    async def ask() -> object:
        async with ControlClient(ApiServer.parse("http://127.0.0.1:1")) as client:
            return await client.status()

    with pytest.raises(NoDaemonError, match=r"no daemon listens on http://127\.0\.0\.1:1; see admin\.listen"):
        asyncio.run(ask())

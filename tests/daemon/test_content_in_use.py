"""New content is announced also with faulty hosts files, and content in use is not removed."""

import json
import shutil
import socket
from pathlib import Path

import pytest
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")


def listed(rack: Rack) -> dict[str, list[str]]:
    printed = rack.netboot("content", "list", "--json")
    views, _ = json.JSONDecoder().raw_decode(printed)  # a note on stderr may follow
    return {view["name"]: view["used_by"] for view in views}


def second_release(rack: Rack) -> Path:
    """Copy the release under another name, with another ref."""
    ostree = rack.directory / "content" / "ostree"
    shutil.copytree(ostree / "ock-1.31-amd64", ostree / "ock-2")
    return ostree / "ock-2"


def moved_to(rack: Rack, release: str) -> None:
    hosts = rack.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("release: ock-1.31-amd64", f"release: {release}"))


def test_content_is_announced_and_removed_while_the_hosts_files_have_a_fault(rack: Rack) -> None:
    machine = rack.machine(*CP1)
    second = second_release(rack)
    (second / "config").write_text((second / "config").read_text() + "# second\n")
    rack.netboot("content", "promote", "ock-1.31-amd64", "current")
    assert "# second" not in machine.get("/ostree/current/config").body
    hosts = (rack.directory / "hosts.yaml").read_text()
    (rack.directory / "hosts.yaml").write_text("hosts: [\n")

    assert "note: the daemon did not" not in rack.netboot("content", "promote", "ock-2", "current")
    assert "# second" in machine.get("/ostree/current/config").body
    assert listed(rack) == {"ol8u10-x86_64": ["cp1", "w1"], "ock-1.31-amd64": ["cp1", "w1"], "ock-2": [], "current": []}
    rack.netboot("content", "remove", "current")
    assert machine.get("/ostree/current/config").status == 404
    refused = rack.netboot("content", "remove", "ock-1.31-amd64", status=1)
    assert (
        "cannot remove ock-1.31-amd64: cp1 has it in the configuration that the daemon serves; netboot reload"
        in refused
    )
    (rack.directory / "hosts.yaml").write_text(hosts)


def test_what_the_daemon_serves_stays_after_an_edit_until_it_reads_the_files(rack: Rack) -> None:
    second_release(rack)
    moved_to(rack, "ock-2")

    refused = rack.netboot("content", "remove", "ock-1.31-amd64", status=1)
    assert "cp1 has it in the configuration that the daemon serves" in refused
    assert "cp1 refers to it (" in rack.netboot("content", "remove", "ock-2", status=1)
    assert (rack.directory / "content/ostree/ock-1.31-amd64/config").is_file()


def test_what_an_install_uses_stays_whatever_the_files_say(rack: Rack) -> None:
    second_release(rack)
    machine = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1", "--force")
    assert "cp1 is armed with it; netboot install cancel cp1" in rack.netboot(
        "content", "remove", "ock-1.31-amd64", status=1
    )
    machine.boots()
    assert "inst.ks" in machine.script()
    moved_to(rack, "ock-2")
    assert _post(rack, "/api/v1/reload")["hosts"] == 2

    refused = rack.netboot("content", "remove", "ock-1.31-amd64", status=1)
    assert "cp1 is installing from it; wait until its install has ended" in refused
    rack.kill()  # without a daemon, the command reads it from the store
    assert "cp1 is installing from it" in rack.netboot("content", "remove", "ock-1.31-amd64", status=1)


def test_an_alias_is_moved_only_while_nobody_installs_by_it_and_takes_no_name_that_is_taken(rack: Rack) -> None:
    second_release(rack)
    for alias in ("ock-1.31-amd64", "ol8u10-x86_64"):
        assert f"{alias} is a " in rack.netboot("content", "promote", "ock-2", alias, status=1)
    rack.netboot("content", "promote", "ock-1.31-amd64", "stable")
    moved_to(rack, "stable")
    _post(rack, "/api/v1/reload")
    machine = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1", "--force")
    machine.boots()
    assert "inst.ks" in machine.script()

    refused = rack.netboot("content", "promote", "ock-2", "stable", status=1)
    assert "cannot move stable: cp1 is installing from it; wait until they have ended" in refused


def _post(rack: Rack, path: str) -> dict[str, object]:
    with rack.server_socket(socket.AF_INET, socket.SOCK_STREAM) as line:
        line.settimeout(10)
        line.connect(("127.0.0.1", 8470))
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    found: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def test_a_release_that_disappears_under_an_armed_host_is_named_until_it_is_back(rack: Rack) -> None:
    release = rack.directory / "content/ostree/ock-1.31-amd64"
    rack.netboot("install", "arm", "cp1", "--force")
    release.rename(rack.directory / "elsewhere")
    sentence = f"cannot find release ock-1.31-amd64: {release} is not a directory"
    cure = "netboot content import-archive FILE --name ock-1.31-amd64"

    assert f"problem: armed and not ready: cp1: {sentence}; {cure}" in rack.run("reload").stdout.splitlines()
    (lost,) = rack.lines("install.content_lost")
    assert (lost["host"], lost["reason"]) == ("cp1", f"{sentence}; {cure}")
    for command in (("install", "show", "cp1"), ("host", "show", "cp1"), ("install", "watch", "cp1", "--no-follow")):
        shown = " ".join(rack.netboot(*command).split())
        assert f"cp1 is held back: {sentence}" in shown, command
        assert cure in shown, command

    (rack.directory / "elsewhere").rename(release)
    rack.wait_for_log("install.content_found")
    assert "armed and not ready" not in rack.run("reload").stdout
    assert "held back" not in rack.netboot("install", "show", "cp1")
    assert len(rack.lines("install.content_lost")) == 1


def test_an_armed_machine_waits_where_its_release_disappeared_and_installs_when_it_is_back(rack: Rack) -> None:
    release = rack.directory / "content/ostree/ock-1.31-amd64"
    machine = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1", "--force")
    machine.boots()
    release.rename(rack.directory / "elsewhere")
    rack.wait_for_log('"content.rescanned"')

    assert "inst.ks" not in machine.script()

    (rack.directory / "elsewhere").rename(release)
    rack.wait_for_log("install.content_found")
    rack.wait_for("content.rescanned", releases=1)
    assert "inst.ks" in machine.script()

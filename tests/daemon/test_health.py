"""`/healthz` and `/readyz` of a running daemon: each part as it is, never later than a load balancer waits."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import Daemon, wait_until
from fixtures.files import SETTINGS, on_postgresql
from fixtures.rack import Answer, Rack
from postgresql import BINARIES, Server

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
BOOT_LAN = {
    "store": "ok",
    "content": "ok",
    "descriptors": "ok",
    "hosts-files": "ok",
    "ignition-files": "ok",
    "cluster-commands": "ok",
    "daemon": "ok",
    "records": "ok",
    "configuration": "ok",
    "hosts": "ok",
    "interface": "ok",
    "dhcp": "ok",
    "pxe": "ok",
    "tftp": "ok",
    "http": "ok",
    "udp": "ok",
    "admin": "ok",
    "listener": "ok",
}


def at(rack: Rack, path: str) -> tuple[int, dict[str, Any]]:
    """Request a path of the administration; return the status and the parts that are not ok, by part and name."""
    answer = rack.curl_api(path)
    found = json.loads(answer.body)
    names = {f"{part['part']} {part['name']}".strip(): part for part in found["parts"]}
    return answer.status, {name: part for name, part in names.items() if part["state"] != "ok"}


def becomes(rack: Rack, path: str, status: int) -> dict[str, Any]:
    """Wait until a path has this status; return its parts that are not ok."""
    return wait_until(lambda: found[1] if (found := at(rack, path))[0] == status else None)


def test_every_part_of_a_rack_that_works_is_ok_and_has_its_name(rack: Rack):
    becomes(rack, "/readyz", 200)  # on a busy box the store is slow at first

    answer = rack.curl_api("/readyz")

    found = json.loads(answer.body)
    assert (answer.status, found["status"]) == (200, "ok")
    assert "cache-control: no-store" in answer.headers.lower()
    assert [(part["part"], part["name"]) for part in found["parts"]] == [
        ("store", ""),
        ("content", ""),
        ("descriptors", ""),
        ("hosts-files", ""),
        ("ignition-files", ""),
        ("cluster-commands", ""),
        ("daemon", ""),
        ("records", ""),
        ("configuration", ""),
        ("hosts", ""),
        ("interface", "s0"),
        ("dhcp", "s0:67"),
        ("pxe", "s0:4011"),
        ("tftp", "s0:69"),
        ("http", "192.0.2.10:8080"),
        ("udp", ""),
        ("admin", "127.0.0.1:8470"),
        ("listener", ""),
    ]
    assert at(rack, "/healthz") == (200, {})


def test_the_boot_lan_gets_the_states_without_names_and_reasons(rack: Rack):
    becomes(rack, "/readyz", 200)  # on a busy box the store is slow at first
    sound = rack.machine(*CP1).get("/healthz")
    (rack.directory / "hosts.yaml").write_text("hosts: [")
    rack.run("reload")
    rejected = rack.machine(*CP1).get("/healthz")

    assert (sound.status, json.loads(sound.body)) == (200, {"status": "ok", "parts": BOOT_LAN})
    assert (rejected.status, json.loads(rejected.body)) == (
        200,
        {"status": "degraded", "parts": {**BOOT_LAN, "configuration": "degraded"}},
    )


def test_rejected_files_are_not_ready_and_the_hosts_in_force_are_served(rack: Rack):
    hosts = rack.directory / "hosts.yaml"
    text = hosts.read_text()
    hosts.write_text(text.replace("role: worker", "rol: worker"))
    assert rack.run("reload").returncode == 2

    status, parts = at(rack, "/readyz")

    assert (status, list(parts), at(rack, "/healthz")[0]) == (503, ["configuration"], 200)
    assert "hosts.w1.rol" in parts["configuration"]["reasons"][0]
    hosts.write_text(text)
    rack.netboot("reload")
    assert at(rack, "/readyz") == (200, {})


def test_an_armed_host_whose_release_disappeared_is_named(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    release = rack.directory / "content" / "ostree" / "ock-1.31-amd64"
    release.rename(release.with_name("elsewhere"))

    parts = becomes(rack, "/readyz", 503)

    assert (list(parts), parts["hosts"]["state"]) == (["hosts"], "degraded")
    assert parts["hosts"]["reasons"][0].startswith("armed and not ready: cp1: ")


def test_an_interface_without_its_address_has_failed_until_it_is_back(rack: Rack):
    rack.ip("addr", "flush", "dev", "s0")

    parts = becomes(rack, "/healthz", 503)

    assert parts["interface s0"]["reasons"] == [
        "interface s0 is not served: it has no IPv4 address; see network.interfaces"
    ]
    rack.ip("addr", "add", "192.0.2.10/24", "dev", "s0")
    assert becomes(rack, "/healthz", 200) == {}


def test_a_port_that_another_program_holds_has_failed_until_it_is_free(rack: Rack):
    rack.kill()
    with rack.server_socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 69))
        rack.start()

        parts = becomes(rack, "/healthz", 503)

        assert parts["tftp s0:69"]["reasons"][0].startswith("cannot bind UDP port 69 on s0: Address already in use")
    assert becomes(rack, "/healthz", 200) == {}


def test_a_daemon_that_stops_is_not_healthy_while_it_drains(rack: Rack):
    client = rack.client_socket()
    client.connect(("192.0.2.10", 8080))
    client.sendall(b"POST /report/" + b"0" * 32 + b"/done HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    time.sleep(0.2)
    with client:
        rack.signal(signal.SIGTERM)

        parts = becomes(rack, "/healthz", 503)

        assert parts["daemon"]["reasons"] == ["it is stopping"]


class Box(Daemon):
    """One appliance without a LAN."""

    def __init__(self, directory: Path, url: str) -> None:
        super().__init__(directory)
        settings = on_postgresql(SETTINGS, url).replace("[s0]", "[]")
        self.config.write_text(settings)
        (directory / "hosts.yaml").write_text("hosts: {w1: {role: worker, mac: 52:54:00:12:34:56}}\n")

    def health(self) -> dict[str, Any]:
        """Request `/healthz` on the control socket; return the part of the store."""
        found = self.api("/healthz")
        return next(part for part in found["parts"] if part["part"] == "store")


@contextmanager
def stopped(server: Server, url: str) -> Iterator[None]:
    """Stop the processes of a database's sessions for a while, as a server that hangs."""
    name = url.split("@/")[1].split("?")[0]
    query = f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    command = [BINARIES / "psql", "--host", server.directory, "--username", "postgres", "-At", "-c", query, name]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    pids = [int(pid) for pid in printed.split()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def timed(request: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return request(), time.monotonic() - began


def test_a_store_that_hangs_has_failed_within_a_few_seconds_and_metrics_do_not_wait_for_it(
    tmp_path: Path, postgresql_server: Server
):
    url = postgresql_server.new_database()
    box = Box(tmp_path, url)
    try:
        box.start()
        before = box.health()
        time.sleep(1.1)  # the result is used for a second
        with stopped(postgresql_server, url):
            hanging, took_s = timed(box.health)
            command = ["curl", "-sS", "--max-time", "10", "--unix-socket", str(tmp_path / "control.sock")]
            scraped, scrape_s = timed(
                lambda: subprocess.check_output([*command, "http://localhost/metrics"], text=True, timeout=20)
            )
        after = wait_until(lambda: found if (found := box.health())["state"] == "ok" else None)
    finally:
        box.stop()

    assert (before["state"], hanging["state"], after["state"]) == ("ok", "failed", "ok")
    cure = "check the load of its disk, or of its server and the network to it"
    assert hanging["reasons"] == [f"the check of the store did not end within 2 s; {cure}"]
    assert took_s < 4
    assert scrape_s < 1
    assert "netboot_store_transaction_duration_seconds_count" in scraped


def test_the_first_request_after_a_start_ends_though_the_store_hangs(tmp_path: Path, postgresql_server: Server):
    """It reads the accounts; before, it waited until the sessions of the server went on."""
    box = Box(tmp_path, url := postgresql_server.new_database())
    try:
        box.start()
        time.sleep(3)  # the checks of the appliance have used the sessions
        with stopped(postgresql_server, url):
            _, health_s = timed(box.health)
            hosts, hosts_s = timed(lambda: box.api("/api/v1/hosts"))
    finally:
        box.stop()

    assert [host["name"] for host in hosts] == ["w1"]
    assert (health_s < 6, hosts_s < 12) == (True, True)


def test_the_answer_is_for_get_and_head(rack: Rack):
    found: list[Answer] = [rack.curl_api("-I", "/healthz"), rack.curl_api("-X", "POST", "/healthz")]

    assert [answer.status for answer in found] == [200, 405]

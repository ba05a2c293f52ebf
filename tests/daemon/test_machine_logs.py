"""Logs of machines from outside: `logger` and rsyslogd send them, as installers do; command and API show them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import TIMEOUT_S, wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.packets import SERVER
from fixtures.rack import Rack, running, token_in

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
W1 = ("52:54:00:12:34:56", "192.0.2.51")
IPXE = b"<6>cp1.example.org ipxe: http://192.0.2.10:8080/boot/52-54-00-aa-bb-01.ipxe... ok"


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with running(write_files(tmp_path, settings=SETTINGS + "logs: {listen: 0.0.0.0:514}\n")) as rack:
        yield rack


def logger(rack: Rack, address: str, *arguments: str) -> None:
    """Run util-linux's logger in the machines' namespace, with this source address."""
    command = ["ip", "netns", "exec", rack.client_namespace, "logger", "--server", SERVER, "--port", "514"]
    rack.lan.ip(rack.lan.client, "route", "replace", f"{SERVER}/32", "dev", "c0", "src", address)
    subprocess.run([*command, *arguments], check=True, timeout=10)


def sent(rack: Rack, address: str, *datagrams: bytes) -> None:
    with rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((address, 0))
        for datagram in datagrams:
            sender.sendto(datagram, (SERVER, 514))


def logs(rack: Rack, name: str, *, boot: int = 0) -> list[dict[str, Any]]:
    """Read the lines of a log by the API."""
    stream = rack.curl_api(f"/api/v1/installs/{name}/logs?follow=0&boot={boot}").body
    events = [block.partition("\ndata: ") for block in stream.split("\n\n")]
    return [json.loads(data) for head, _, data in events if head == "event: line"]


def wait_for_lines(rack: Rack, name: str, number: int) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]] | None:
        found = logs(rack, name)
        return found if len(found) >= number else None

    return wait_until(read, failed=lambda: f"{logs(rack, name)}\n{rack.log[-2000:]}")


def shown(lines: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(line["severity"], line["program"], line["text"]) for line in lines]


def test_lines_by_udp_and_tcp_of_either_format_are_the_machines_that_has_the_address(rack: Rack):
    cp1, w1 = rack.machine(*CP1), rack.machine(*W1)
    cp1.boots()
    w1.boots()
    for way in ("--udp", "--tcp"):
        for form in ("--rfc3164", "--rfc5424"):
            logger(rack, cp1.address, way, form, "-t", "anaconda", "-p", "user.err", f"by {way[2:]} {form}")
    logger(rack, cp1.address, "--tcp", "--octet-count", "-t", "anaconda", "-p", "local1.notice", "counted")
    sent(rack, cp1.address, IPXE)
    sent(rack, w1.address, b"<6>ipxe: of the other machine")

    lines = wait_for_lines(rack, "cp1", 6)

    assert sorted(shown(lines)) == sorted(
        [
            *[
                ("err", "anaconda", f"by {way[2:]} {form}")
                for way in ("--udp", "--tcp")
                for form in ("--rfc3164", "--rfc5424")
            ],
            ("notice", "anaconda", "counted"),
            ("info", "ipxe", "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01.ipxe... ok"),
        ]
    )
    assert {line["source"] for line in lines} == {cp1.address}
    assert shown(wait_for_lines(rack, "w1", 1)) == [("info", "ipxe", "of the other machine")]
    used = rack.api("/api/v1/status")["records"]
    assert (used["directory"], used["budget"]) == (str(rack.directory / "records"), 1 << 30)
    assert used["logs"] == 2 * 4096
    assert used["used"] == used["logs"] + used["captures"] + used["store"]


def test_rsyslogd_forwards_as_it_does_in_anaconda(rack: Rack, tmp_path: Path):
    cp1 = rack.machine(*CP1)
    cp1.boots()
    device, config = tmp_path / "log.socket", tmp_path / "rsyslog.conf"
    config.write_text(  # what updateRemote of pyanaconda appends
        f'global(workDirectory="{tmp_path}")\n'
        f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{device}")\n'
        f"*.* @@{SERVER}:514\n"
    )
    rack.lan.ip(rack.lan.client, "route", "replace", f"{SERVER}/32", "dev", "c0", "src", cp1.address)
    command = ["ip", "netns", "exec", rack.client_namespace, "rsyslogd", "-n", "-f", str(config), "-i", "NONE"]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: device.exists() or None)
        for number in range(20):
            entry = ["-t", "anaconda", "-p", "local1.warning", f"line {number}"]
            subprocess.run(["logger", "--socket", str(device), *entry], check=True, timeout=10)
        lines = wait_for_lines(rack, "cp1", 20)
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)

    ours = [line for line in shown(lines) if line[1] == "anaconda"]
    assert ours == [("warning", "anaconda", f"line {number}") for number in range(20)]


def test_lines_of_an_address_of_no_machine_are_counted_and_dropped(rack: Rack):
    rack.add_client_address("192.0.2.99")
    sent(rack, "192.0.2.99", b"<6>ipxe: forged", b"<6>ipxe: forged")
    with rack.client_socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.settimeout(5)
        stream.bind(("192.0.2.99", 0))
        stream.connect((SERVER, 514))
        assert stream.recv(1) == b""

    counters = rack.curl_api("/metrics").body
    assert 'netboot_log_lines_dropped_total{reason="unknown-address"} 3.0' in counters
    assert not (rack.directory / "records").exists() or not list((rack.directory / "records").iterdir())


def test_no_secret_of_a_boot_is_stored(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    script = cp1.script()
    kickstart = cp1.get(f"/ks/{token_in(script, 'ks')}").body
    tokens = [token_in(script, "ks"), token_in(kickstart, "report"), token_in(kickstart, "ign")]
    kernel_line = next(line for line in script.splitlines() if line.startswith("kernel"))
    assert "inst.syslog=192.0.2.10:514" in kernel_line
    sent(rack, cp1.address, f"<6>kernel: Command line: {kernel_line}".encode())
    text = f"<6>ipxe: {kernel_line}".encode()
    sent(rack, cp1.address, *(b"<6>ipxe: " + text[start : start + 127] for start in range(0, len(text), 127)))
    status = cp1.report(tokens[1], "log", "netboot-pre: " + kickstart.replace("\n", "\nnetboot-pre: "))

    wait_for_lines(rack, "cp1", 30)
    stored = "".join(path.read_text() for path in (rack.directory / "records").rglob("*.log"))

    assert status == 200
    assert "Command line:" in stored
    for token in tokens:
        assert token not in stored
        assert not any(token[start : start + 12] in stored for start in range(20)), "a part of a token"


def test_reports_end_soon_after_the_machine_is_ready_and_need_its_token_and_address(rack: Rack):
    cp1, w1 = rack.machine(*CP1), rack.machine(*W1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    w1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    token, ignition = token_in(kickstart, "report"), token_in(kickstart, "ign")
    entry = (
        '{"__CURSOR":"s=1","PRIORITY":"3","SYSLOG_IDENTIFIER":"ignition","MESSAGE":"disks: createPartitions failed"}'
    )
    for event in ("started", "done"):
        cp1.report(token, event)
    cp1.get(f"/ign/{ignition}")

    before = cp1.report(token, "log", entry)
    refused = [w1.report(token, "log", entry), cp1.report("0" * 32, "log", entry)]
    cp1.report(token, "ready")
    after = cp1.report(token, "log", entry)

    assert (before, refused, after) == (200, [403, 404], 200)
    expected = ("err", "ignition", "disks: createPartitions failed")
    assert shown(wait_for_lines(rack, "cp1", 2)) == [expected, expected]


def test_the_command_shows_the_steps_between_the_lines_also_without_a_daemon(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    sent(rack, cp1.address, b"<6>ipxe: before the script")
    wait_for_lines(rack, "cp1", 1)
    cp1.script()
    sent(rack, cp1.address, b"<3>anaconda[812]: \x1b[2Jafter\x07 the script")
    wait_for_lines(rack, "cp1", 2)
    running_shows = rack.netboot("install", "logs", "cp1")
    rack.signal(signal.SIGTERM)
    assert rack.wait() == 0

    stopped_shows = rack.run("install", "logs", "cp1")

    words = [line.split(maxsplit=3)[1:3] for line in running_shows.splitlines()[1:]]
    assert running_shows.startswith("cp1, boot 1 of 1, began ")
    assert words.index(["info", "ipxe"]) < words.index(["step", "script"]) < words.index(["err", "anaconda"])
    assert "\N{REPLACEMENT CHARACTER}[2Jafter\N{REPLACEMENT CHARACTER} the script" in running_shows
    assert stopped_shows.stdout == running_shows
    follows = rack.run("install", "logs", "cp1", "--follow")
    assert follows.returncode == 1
    assert "no daemon runs" in follows.stderr


def test_a_followed_log_shows_later_lines_and_the_next_boot(rack: Rack):
    cp1 = rack.machine(*CP1)
    cp1.boots()
    sent(rack, cp1.address, b"<6>ipxe: first")
    wait_for_lines(rack, "cp1", 1)
    with (rack.directory / "followed").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "netboot", "install", "logs", "cp1", "--follow"],
            env=os.environ | {"NETBOOT_CONFIG": str(rack.config)}, stdout=output, stderr=output,
        )  # fmt: skip
    followed = rack.directory / "followed"
    try:
        wait_until(lambda: "first" in followed.read_text() or None)
        time.sleep(1)
        sent(rack, cp1.address, b"<6>ipxe: second")
        wait_until(lambda: "second" in followed.read_text() or None)
        time.sleep(3.1)  # an exchange that is younger is no other boot
        cp1.boots()
        sent(rack, cp1.address, b"<6>ipxe: third")
        wait_until(lambda: "third" in followed.read_text() or None)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT_S)

    text = followed.read_text()
    assert text.count("first") == text.count("second") == text.count("third") == 1
    assert "cp1, boot 2 of 2, began " in text
    assert logs(rack, "cp1", boot=-1) == logs(rack, "cp1", boot=1)
    assert [line["text"] for line in logs(rack, "cp1", boot=1)] == ["first", "second"]
    printed = rack.run("install", "logs", "cp1", "--boot", "1", "--json").stdout.splitlines()
    assert [json.loads(line) for line in printed[1:]] == logs(rack, "cp1", boot=1)
    assert rack.run("install", "logs", "cp1", "--boot", "3").stderr == (
        "netboot: no log of boot 3 of cp1 is kept; it has the logs of 2 boots\n"
    )

"""`netboot doctor --listen`: what the appliance would do for each machine, without a single frame that leaves it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import wait_until
from fixtures.files import write_boot_files, write_files
from fixtures.packets import BIOS, UEFI, message, opts
from fixtures.rack import Rack, a_rack
from fixtures.servers import dnsmasq, running_server

pytestmark = pytest.mark.integration

CP1, W1, UNREGISTERED = "52:54:00:aa:bb:01", "52:54:00:12:34:56", "52:54:00:00:00:77"
SETTINGS = """\
network: {interfaces: [s0]}
admin: {socket: control.sock, listen: 127.0.0.1:8470}
bootfiles: {directories: [boot]}
content: {directory: content, deltas: false}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
hosts: {files: [hosts.yaml]}
log: {level: debug, format: json}
"""


@dataclass
class Listener:
    """A running `netboot doctor --listen --json`."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def heard(self, **expected: Any) -> dict[str, Any]:
        """Wait for a line with these values."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines if expected.items() <= line.items()), None)

        return wait_until(found, failed=lambda: f"{expected} is not in {self.lines}")


@contextmanager
def listening(rack: Rack, *options: str, config: Path | None = None) -> Iterator[Listener]:
    """Listen on the appliance until the end of the block, which ends it as Ctrl-C does."""
    environment = os.environ | {"NETBOOT_CONFIG": str(config or rack.config)}
    command = rack.command("doctor", "--listen", "--json", *options)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        reported = ""
        for line in process.stderr:
            reported += line
            if line.startswith("listening on s0; nothing is sent"):
                break
        else:
            raise AssertionError(reported)
        listener = Listener(process)
        thread = threading.Thread(target=listener.read)
        thread.start()
        try:
            yield listener
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=10)
            finally:
                process.kill()
            thread.join(timeout=10)


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    """An appliance that serves cp1 and w1; its daemon does not run."""
    directory = write_files(tmp_path, settings=SETTINGS)
    write_boot_files(directory / "boot")
    with a_rack(directory) as rack:
        yield rack


def discover(rack: Rack, mac: str, *, vendor: bytes | None = UEFI, arch: bytes = b"\0\7", **more: Any) -> None:
    packet = message(opts(vendor=vendor, arch=arch), chaddr=bytes.fromhex(mac.replace(":", "")), **more)
    rack.wire.send(packet, mac=mac)


def test_without_a_daemon_machines_are_shown_once_and_no_frame_leaves(rack: Rack) -> None:
    rack.ip("link", "set", "s0", "addrgenmode", "none")
    rack.ip("-6", "addr", "flush", "dev", "s0")
    time.sleep(0.2)
    with listening(rack) as listener:
        rack.wire.received()
        for _ in range(3):
            discover(rack, CP1)
            discover(rack, UNREGISTERED)
        discover(rack, W1, vendor=BIOS, arch=b"\0\0")
        discover(rack, "52:54:00:00:00:78", vendor=None)
        discover(rack, "52:54:00:00:00:79", arch=b"\0\x63", vendor=b"PXEClient\x1b[2J")
        registered = listener.heard(kind="machine", mac=CP1)
        unregistered = listener.heard(kind="machine", mac=UNREGISTERED)
        of_bios = listener.heard(kind="machine", mac=W1)
        system = listener.heard(kind="machine", mac="52:54:00:00:00:78")
        strange = listener.heard(kind="machine", mac="52:54:00:00:00:79")
        time.sleep(0.5)
        assert rack.wire.received() == []

    assert len([line for line in listener.lines if line.get("mac") == CP1]) == 1
    assert (registered["host"], registered["firmware"], registered["stage"]) == ("cp1", "pxe/x64-uefi", "firmware")
    assert registered["result"] == "local-disk"
    assert registered["why"].startswith("install state unknown, no daemon runs")
    assert (unregistered["host"], unregistered["result"]) == (None, "nothing")
    assert unregistered["why"] == "it is not registered, and hosts.unknown is ignore"
    assert (of_bios["result"], of_bios["boot_file"]) == ("loader", "undionly.kpxe")
    assert system["why"] == "it requests no network boot: a running system or an installer"
    assert strange["result"] == "nothing"
    assert strange["vendor_class"] == r"PXEClient\x1b[2J"
    assert listener.lines[-1] == {"kind": "end", "left_out": 0}
    assert listener.process.returncode == 0


def test_beside_a_daemon_an_armed_host_is_shown_with_its_loader_as_the_daemon_offers_it(rack: Rack) -> None:
    rack.start()
    with listening(rack) as listener:
        discover(rack, CP1)
        assert listener.heard(mac=CP1)["why"] == "cp1 is not armed: it boots its own disk"
        rack.netboot("install", "arm", "cp1")

        def armed() -> dict[str, Any] | None:
            discover(rack, CP1)
            time.sleep(0.3)
            return next((line for line in listener.lines if line.get("boot_file")), None)

        shown = wait_until(armed)

    assert (shown["result"], shown["why"]) == ("loader", "cp1 is armed: it boots its installer")
    offered = [line for line in rack.lines("dhcp.offered") if line["kind"] == "loader"]
    assert {line["boot_file"] for line in offered} == {shown["boot_file"]}
    assert not any(line["kind"] == "server" for line in listener.lines)  # its own offers


def test_other_servers_are_shown_with_what_they_do_and_the_cure(rack: Rack, tmp_path: Path) -> None:
    def ip(*arguments: str) -> None:
        rack.lan.ip(rack.client_namespace, *arguments)

    ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
    ip("link", "add", "m0", "type", "veth", "peer", "name", "m1")
    ip("addr", "flush", "dev", "c0")
    for port in ("c0", "m0"):
        ip("link", "set", port, "master", "br0")
    for name in ("m0", "m1", "br0"):
        ip("link", "set", name, "up")
    ip("addr", "add", "192.0.2.254/24", "dev", "br0")
    machine = rack.lan.wire("m1")
    server = dnsmasq(tmp_path, "--dhcp-boot=pxelinux.0,,192.0.2.9", interface="br0")
    with listening(rack) as listener, running_server(rack.client_namespace, *server):
        machine.send(message(opts()))
        found = listener.heard(kind="server")["server"]

    assert (found["effect"], found["boot_file"], found["takes_boots"]) == ("boot-file", "pxelinux.0", True)
    assert found["cure"].startswith("remove boot file and next server")


def test_before_the_first_install_a_named_interface_is_enough(rack: Rack, tmp_path: Path) -> None:
    with listening(rack, "--interface", "s0", config=tmp_path / "absent.yaml") as listener:
        discover(rack, UNREGISTERED)
        assert listener.heard(mac=UNREGISTERED)["result"] == "nothing"


def test_a_time_ends_it_and_text_has_one_line_for_each_machine(rack: Rack) -> None:
    ended = threading.Event()

    def boot_again_and_again() -> None:
        while not ended.wait(0.2):
            discover(rack, UNREGISTERED)

    sender = threading.Thread(target=boot_again_and_again)
    sender.start()
    printed = rack.netboot("doctor", "--listen", "--seconds", "1")
    ended.set()
    sender.join()

    (line,) = [each for each in printed.splitlines() if UNREGISTERED in each]
    assert f"s0 {UNREGISTERED} pxe/x64-uefi firmware: would be offered nothing: it is not registered" in line


def test_without_an_interface_or_the_right_there_is_one_clear_error(rack: Rack, tmp_path: Path) -> None:
    rack.config.write_text(SETTINGS.replace("[s0]", "[]"))
    assert "give --interface NAME" in rack.netboot("doctor", "--listen", status=2)
    rack.config.write_text(SETTINGS.replace("[s0]", "[nosuch0]"))
    assert "cannot listen on nosuch0: No such device" in rack.netboot("doctor", "--listen", status=1)

"""An arming from outside: what it is bound to, over reloads, restarts and edits while no daemon runs."""

import json
import signal

import pytest
from daemon.rack import Rack
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")


def edit_hosts(rack: Rack, old: str, new: str) -> None:
    path = rack.directory / "hosts.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def last_of_history(rack: Rack, host: str) -> dict[str, str]:
    last: dict[str, str] = json.loads(rack.netboot("install", "history", host, "--json"))[-1]
    return last


def test_a_reload_ends_the_arming_of_a_host_whose_disk_changed_and_its_machine_boots_its_disk(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    edit_hosts(rack, "mac: 52:54:00:aa:bb:01", "mac: 52:54:00:aa:bb:01, disk: /dev/vdb")

    rack.signal(signal.SIGHUP)
    rack.wait_for_log("install.arming_ended")

    assert rack.install("cp1")["armed"] is False
    assert last_of_history(rack, "cp1")["note"] == (
        "its disk changed from /dev/vda to /dev/vdb; to install it as it is now: netboot install arm cp1"
    )
    cp1.boots()
    assert cp1.discover()[BOOTP].file.rstrip(b"\0") == b""
    assert "vmlinuz" not in cp1.script()


def test_a_release_that_changed_while_no_daemon_ran_ends_the_arming_at_the_start(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    rack.kill()
    edit_hosts(rack, "release: ock-1.31-amd64", "release: prod")
    (rack.directory / "content/ostree/prod").symlink_to("ock-1.31-amd64")

    rack.start()

    assert rack.install("cp1")["armed"] is False
    assert last_of_history(rack, "cp1")["what"] == "arming-ended"


def test_a_restart_with_the_same_files_keeps_the_arming(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    before = rack.install("cp1")
    rack.kill()

    rack.start()

    assert rack.install("cp1") == before

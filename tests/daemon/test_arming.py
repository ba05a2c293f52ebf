"""An arming from outside: what it is bound to, over reloads, restarts and edits while no daemon runs."""

import json
import os
import shutil
import signal

import pytest
from fixtures.rack import Rack, token_in
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


def test_arm_says_the_same_with_a_daemon_and_without_one(rack: Rack):
    shutil.rmtree(rack.directory / "content/media/ol8u10-x86_64")
    edit_hosts(rack, "w1: {", "w1: {release: ock-2, ")
    rack.signal(signal.SIGHUP)
    rack.wait_for_log("config.reloaded")

    with_daemon = rack.netboot("install", "arm", "cp1", "w1", status=1)
    answer = rack.curl_api("-X", "POST", "-d", "{}", "/api/v1/hosts/w1/arm")
    rack.kill()
    without_one = rack.netboot("install", "arm", "cp1", "w1", status=1)

    lines = with_daemon.removeprefix("netboot: ").splitlines()
    assert without_one.removeprefix("netboot: ").splitlines()[: len(lines)] == lines
    assert [line.split(": ")[0] for line in lines] == [
        "cannot arm cp1",
        "cannot arm w1",
        "cannot arm w1",
        "nothing was armed; correct this, or arm anyway with --force",
    ]
    assert answer.status == 409
    assert [f"cannot arm w1: {reason}" for reason in json.loads(answer.body)["reasons"]] == lines[1:3]


def test_an_arming_is_cancelled_after_its_host_was_removed_while_no_daemon_runs(rack: Rack):
    rack.netboot("install", "arm", "w1")
    rack.kill()
    edit_hosts(rack, "  w1: {role: worker, mac: 52:54:00:12:34:56}\n", "")

    listed = rack.netboot("install", "show")
    reported = rack.netboot("install", "cancel", "w1")

    assert "because it is no longer declared in the hosts files" in listed
    assert "not declared in the hosts files" in listed
    assert reported.startswith("w1 is not armed; it boots its own disk\n")
    assert rack.install("w1")["armed"] is False


def test_a_cancel_while_the_machine_installs_says_that_the_wipe_goes_on(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    report = token_in(kickstart, "report")
    assert cp1.report(report, "started") == 200

    reported = rack.netboot("install", "cancel", "cp1")

    assert reported.splitlines()[0] == "cp1 is no longer armed"
    assert "was allowed to wipe the disk, and continues; this cannot be undone" in reported
    assert cp1.report(report, "done") == 200
    assert "cp1 was not armed; nothing was changed" in rack.netboot("install", "cancel", "cp1")


def test_the_actor_of_an_arming_is_in_the_event_with_a_daemon_and_without_one(rack: Rack):
    rack.netboot("install", "arm", "cp1", "--json")
    rack.curl_api("-X", "POST", "-d", "{}", "/api/v1/hosts/w1/arm")
    rack.netboot("install", "cancel", "w1")

    events = [json.loads(line) for line in rack.log.splitlines() if '"install.moved"' in line]

    assert [(event["by"], event["actor"]) for event in events] == [
        ("armed", f"uid {os.getuid()}"),
        ("armed", "a process on 127.0.0.1"),
        ("cancelled", f"uid {os.getuid()}"),
    ]


def test_with_dhcp_off_a_host_is_installed_from_its_registered_address_and_needs_one(rack: Rack):
    rack.kill()
    rack.config.write_text(rack.config.read_text() + "dhcp: {mode: off}\n")
    edit_hosts(rack, "mac: 52:54:00:aa:bb:01", "mac: 52:54:00:aa:bb:01, network: {address: 192.0.2.101/24}")
    rack.start()
    cp1 = rack.machine(CP1[0], "192.0.2.101")
    unregistered = rack.machine(CP1[0], "192.0.2.77")

    refused = rack.netboot("install", "arm", "cp1", "w1", status=1)
    checked = rack.netboot("check", status=1)
    rack.netboot("install", "arm", "cp1")

    reason = "w1 cannot be identified: dhcp.mode is off, so its DHCP requests are not seen"
    assert f"cannot arm w1: {reason}" in refused
    assert reason in checked
    assert "vmlinuz" not in unregistered.script()
    script = cp1.script()
    assert "vmlinuz" in script
    assert cp1.script() == script
    assert rack.install("cp1")["arming"]["spent"] == 1

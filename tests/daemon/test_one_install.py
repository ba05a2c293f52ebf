"""The daemon from outside: one machine's packets and requests from power-on to ready, and failures in between."""

import json
import re
import signal
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.rack import BASE, Rack, token_in
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
W1 = ("52:54:00:12:34:56", "192.0.2.51")


def test_a_machine_is_installed_once_and_then_boots_its_own_disk(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1", "--reason", "test")
    assert cp1.discover()[BOOTP].file.startswith(b"snponly.efi\0")
    cp1.boots()
    script = cp1.script()
    kickstart = cp1.get(f"/ks/{token_in(script, 'ks')}")
    report = token_in(kickstart.body, "report")
    reported = [cp1.report(report, event) for event in ("started", "done", "done")]
    offer = cp1.discover()
    ignition = cp1.get(f"/ign/{token_in(kickstart.body, 'ign')}")
    parts = [cp1.get(child["source"]) for child in json.loads(ignition.body)["ignition"]["config"]["merge"]]
    ready = cp1.report(report, "ready")

    assert "#!ipxe\n" in script
    assert f"{BASE}/content/ol8u10-x86_64/vmlinuz" in script
    assert reported == [200, 200, 200]
    assert offer[BOOTP].file.rstrip(b"\0") == b""
    assert [part.status for part in parts] == [200, 200]
    assert parts[0].body == (rack.directory / "ign/init.ign").read_text()
    assert ready == 200
    assert rack.install("cp1")["state"] == "ready"
    assert "exit 1" in cp1.script()
    assert cp1.get(f"/ks/{token_in(script, 'ks')}").status == 404


def test_nothing_is_installed_that_nobody_armed(rack: Rack):
    cp1 = rack.machine(*CP1)

    cp1.boots()

    assert cp1.discover()[BOOTP].file.rstrip(b"\0") == b""
    assert "exit 1" in cp1.script()
    assert "vmlinuz" not in cp1.script()
    assert rack.install("cp1")["state"] == "registered"


def test_an_unregistered_machine_gets_no_reply_and_is_discovered(rack: Rack):
    unregistered = rack.machine("52:54:00:99:99:99", "192.0.2.60")

    assert unregistered.discover() is None
    assert [each["mac"] for each in json.loads(rack.netboot("host", "list", "--discovered", "--json"))] == [
        "52:54:00:99:99:99"
    ]


def test_a_curious_reader_gets_a_script_without_tokens_and_changes_nothing(rack: Rack):
    curious = rack.machine("52:54:00:99:99:99", "192.0.2.60")
    rack.netboot("install", "arm", "cp1")

    script = curious.get("/boot/52-54-00-AA-BB-01.ipxe").body

    assert script.startswith("#!ipxe\n")
    assert not re.search(r"[0-9a-f]{32}", script)
    assert rack.install("cp1")["arming"]["spent"] == 0


def test_another_machine_with_a_token_is_refused_and_raises_an_alarm(rack: Rack):
    cp1, w1 = rack.machine(*CP1), rack.machine(*W1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    w1.boots()
    token = token_in(cp1.script(), "ks")

    assert w1.get(f"/ks/{token}").status == 403
    assert cp1.get(f"/ks/{token}").status == 200
    rack.wait_for_log("boot.alarm_raised")


def test_a_killed_daemon_comes_back_and_the_install_ends_well(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    report = token_in(kickstart, "report")
    assert cp1.report(report, "started") == 200

    rack.kill()
    rack.start()

    assert rack.install("cp1")["state"] == "installing"
    assert cp1.report(report, "done") == 200
    assert cp1.get(f"/ign/{token_in(kickstart, 'ign')}").status == 200
    assert cp1.report(report, "ready") == 200
    assert rack.install("cp1")["state"] == "ready"


def test_the_commands_work_on_the_store_while_no_daemon_runs(rack: Rack):
    rack.kill()

    rack.netboot("install", "arm", "cp1", "--reason", "offline")
    rack.start()

    assert rack.install("cp1")["arming"]["reason"] == "offline"


def test_sighup_swaps_the_hosts_or_keeps_the_old_ones_and_says_why(rack: Rack):
    w1 = rack.machine(*W1)
    hosts = rack.directory / "hosts.yaml"
    good = hosts.read_text()

    hosts.write_text(good.replace("role: worker", "role: wroker"))
    rack.signal(signal.SIGHUP)
    rack.wait_for_log("config.rejected")
    assert w1.discover() is not None

    hosts.write_text(good.replace("52:54:00:12:34:56", "52:54:00:12:34:57"))
    rack.signal(signal.SIGHUP)
    rack.wait_for_log("config.reloaded")
    assert w1.discover() is None


def test_a_crash_would_leave_no_core_file_with_keys_in_it(rack: Rack):
    limits = Path(f"/proc/{rack.pid}/limits").read_text().splitlines()

    assert [line.split()[4] for line in limits if line.startswith("Max core file size")] == ["0"]


def test_sigterm_ends_it_with_success(rack: Rack):
    rack.signal(signal.SIGTERM)

    assert rack.wait() == 0
    assert "daemon.stopped" in rack.log


def test_check_names_eight_faults_with_their_places(rack: Rack):
    (rack.directory / "netboot.yaml").write_text(
        "network: {interfaces: [s0]}\ndhcp: {prot: 67}\nhttp: {port: 99999}\ninstall: {attempts: none}\n"
        "hosts: {files: [hosts.yaml]}\n"
    )
    (rack.directory / "hosts.yaml").write_text(
        "cluster: {name: rackone, init: cp9}\n"
        "hosts:\n"
        "  cp1: {role: control-plane, mac: 52:54:00:aa:bb}\n"
        "  cp2: {role: contrl-plane, mac: 52:54:00:aa:bb:02}\n"
        "  w1: {role: worker, mac: 52:54:00:aa:bb:02, disk: sda}\n"
    )

    reported = rack.netboot("check", status=2)

    places = re.findall(r"^\S+?(netboot|hosts)\.yaml:(\d+):(\d+): ", reported, re.MULTILINE)
    assert len(places) == 8, reported
    assert [(file, int(line)) for file, line, _ in places] == [
        ("hosts", 1),
        ("hosts", 3),
        ("hosts", 4),
        ("hosts", 5),
        ("hosts", 5),
        ("netboot", 2),
        ("netboot", 3),
        ("netboot", 4),
    ]


def test_check_is_satisfied_with_the_rack_and_plan_shows_what_each_host_would_get(rack: Rack):
    reported = rack.netboot("check")
    plan = json.loads(rack.netboot("plan", "cp1", "--json"))["cp1"]

    assert reported.startswith(
        "boot loaders:\n  BIOS, PXE         undionly.kpxe (/usr/lib/ipxe/undionly.kpxe), then ipxe.pxe"
    )
    assert "\n  x64 UEFI, PXE     snponly.efi (/usr/lib/ipxe/snponly.efi)\n" in reported
    assert "\n2 hosts checked, no problems\n" in reported  # notes about this box may follow
    assert plan["offers"]["UEFI x64, PXE"] == "loader snponly.efi"
    assert "BEGIN RSA" not in json.dumps(plan)
    assert "hidden" in plan["ignition"]["role"]


def test_watch_prints_the_boot_and_ends_when_the_host_is_ready(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    for event in ("started", "done", "ready"):
        cp1.report(token_in(kickstart, "report"), event)

    def steps() -> list[str]:
        reported = rack.netboot("install", "watch", "cp1", "--no-follow")
        return [line.split()[2] for line in reported.splitlines()]

    wait_until(lambda: steps()[-1:] == ["ready"] or None)  # the store has an event a moment after its report
    assert steps() == ["offer", "script", "kickstart", "installing", "installed", "ready"]


def test_watch_shows_the_last_arming_and_no_boot_before_it_also_when_it_has_ended(rack: Rack):
    cp1 = rack.machine(*CP1)
    for reason in ("first", "second"):
        rack.netboot("install", "arm", "cp1", "--reason", reason)
        cp1.boots()
        kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
        for event in ("started", "done", "ready"):
            cp1.report(token_in(kickstart, "report"), event)

    reported = rack.netboot("install", "watch", "cp1")

    assert [line.split()[2] for line in reported.splitlines()].count("ready") == 1
    assert rack.install("cp1")["arming"] is None


def test_no_token_is_ever_logged(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    script = cp1.script()
    kickstart = cp1.get(f"/ks/{token_in(script, 'ks')}").body
    cp1.report(token_in(kickstart, "report"), "failed", kickstart)

    for area in ("ks", "ign", "report"):
        assert token_in(kickstart if area != "ks" else script, area) not in rack.log

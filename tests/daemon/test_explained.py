"""What an operator reads about machines that do not proceed, and the events of a flood of refused requests."""

import json
import signal

import pytest
from fixtures.daemon import wait_until
from fixtures.rack import Machine, Rack, token_in

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
OTHER = ("52:54:00:99:99:99", "192.0.2.77")
REQUESTS = 100


def flood(machine: Machine, path: str) -> None:
    """Request a path again and again, on one connection."""
    machine.get(f"{path}?[1-{REQUESTS}]")


def events(rack: Rack, host: str) -> list[dict[str, object]]:
    reported = rack.netboot("install", "watch", host, "--no-follow", "--json")
    return [json.loads(line) for line in reported.splitlines() if line.startswith("{")]


def with_step(rack: Rack, step: str) -> list[str] | None:
    """Read what is reported of cp1, if its last line has this step; None while it is not stored."""
    lines = rack.netboot("install", "watch", "cp1", "--no-follow").splitlines()
    return lines if lines[-1].split()[2] == step else None


def test_another_address_that_requests_a_script_takes_no_step_and_is_one_event_and_a_count(rack: Rack):
    cp1, other = rack.machine(*CP1), rack.machine(*OTHER)
    cp1.boots()

    flood(other, "/boot/52-54-00-aa-bb-01.ipxe")
    cp1.script()
    rack.signal(signal.SIGTERM)
    assert rack.wait() == 0

    found = [(each["event"], each["step"], each["data"].get("count")) for each in events(rack, "cp1")]  # type: ignore[attr-defined]
    assert found == [
        ("boot.offered", "local-boot", None),
        ("boot.offered", "offer", None),
        ("boot.request_refused", None, None),
        ("boot.script_served", None, None),
        ("boot.request_refused", None, REQUESTS - 1),
    ]
    assert rack.log.count('"boot.request_refused"') == 2


def test_dead_tokens_that_are_requested_without_pause_are_one_event_of_each_address_and_a_count(rack: Rack):
    cp1, other = rack.machine(*CP1), rack.machine(*OTHER)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    token = token_in(cp1.script(), "ks")
    rack.netboot("install", "cancel", "cp1")

    flood(cp1, f"/ks/{token}")
    flood(other, f"/ks/{token}")
    reported = rack.netboot("install", "watch", "cp1", "--no-follow").splitlines()
    rack.signal(signal.SIGTERM)
    assert rack.wait() == 0

    assert [line.split()[2] for line in reported] == ["offer", "script", "cancelled", "refused", "ALARM"]
    counts = [(each["event"], each["data"]["count"]) for each in events(rack, "cp1") if "count" in each["data"]]  # type: ignore[index,operator]
    assert sorted(counts) == [("boot.alarm_raised", REQUESTS - 1), ("boot.token_refused", REQUESTS - 1)]


def test_a_host_that_is_held_back_is_shown_with_reason_and_cure_while_the_daemon_runs_and_when_not(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1", "--reason", "the operator's own reason")
    (rack.directory / "content/media/ol8u10-x86_64/initrd.img").unlink()
    cp1.boots()
    cp1.script()

    watched = wait_until(lambda: with_step(rack, "held-back"))
    shown = [rack.netboot("install", "show", "cp1"), rack.netboot("host", "show", "cp1")]
    install = rack.install("cp1")
    blocked = install["blocked"]
    rack.kill()
    shown += [rack.netboot("install", "show", "cp1"), rack.netboot("host", "show", "cp1")]

    steps = [line.split()[2] for line in watched]
    assert [step for step in steps if step != "held-back"] == ["offer"]  # lost content is reported by itself too
    assert steps[-1] == "held-back"
    assert len(steps) <= 3
    assert install["arming"]["spent"] == 0
    assert "initrd.img" in blocked["sentence"]
    assert blocked["cure"].startswith("copy it from the ISO into ")
    for text in (watched[-1], *shown):
        assert blocked["sentence"] in text
        assert blocked["cure"] in text


def test_the_reason_of_a_failure_is_the_first_line_of_the_report_everywhere_and_the_disks_stay_apart(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1", "--reason", "the operator's own reason", "--attempts", "1")
    cp1.boots()
    report = token_in(cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body, "report")
    reason = "/dev/vda is not there: set hosts.cp1.disk to one of the disks present"
    cp1.report(report, "failed", f"{reason}\ndisks present:\nNAME SIZE\nsda 10G\n")

    shown = rack.netboot("install", "show", "cp1")
    watched = rack.netboot("install", "watch", "cp1", "--no-follow", status=1).splitlines()[-1]
    history = rack.netboot("install", "history", "cp1").splitlines()
    host = json.loads(rack.netboot("host", "show", "cp1", "--json"))

    assert f"reason: {reason}" in shown
    assert "the operator's own reason" not in shown.splitlines()[-1]
    assert watched.split(maxsplit=3)[2:][0] == "failed"
    assert watched.split(maxsplit=3)[3].startswith(reason)
    assert [line.split("\t")[1:] for line in history] == [
        ["WHAT", "FROM", "TO", "NOTE", "BY"],
        ["armed", "registered", "registered", "the operator's own reason", "uid 0 (control-socket)"],
        ["offer-sent", "registered", "offered", "", ""],
        ["script-sent", "offered", "loading", "", ""],
        ["reported-failed", "loading", "failed", reason, ""],
    ]
    assert host["disks"] == ["NAME SIZE", "sda 10G"]
    failed = [json.loads(line) for line in rack.log.splitlines() if '"reported-failed"' in line]
    assert [(line["level"], line["note"]) for line in failed] == [("error", reason)]

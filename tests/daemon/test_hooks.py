"""A daemon with hooks as a process: killed, reloaded and stopped; its receivers fail, hang and accept."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import Daemon, wait_until, written
from fixtures.hook_receiver import Receiver, receiving
from standardwebhooks.webhooks import Webhook

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL_SECRET = "T00-XYZZY"
SETTINGS = """\
admin: {{socket: control.sock, listen: 127.0.0.1:8470}}
content: {{directory: content}}
store: {{url: sqlite+aiosqlite:///netboot.db}}
records: {{directory: records}}
log: {{level: debug, format: json}}
hooks:
{hooks}
"""
PAGER = (
    "- {{name: pager, url: 'http://127.0.0.1:{port}/services/{secret}', secret_file: secret, timeout_s: {timeout_s}, "
)
MOVED = "events: [install.moved]}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def box(tmp_path: Path, receiver: Receiver) -> Iterator[Daemon]:
    """An appliance without a LAN, whose hook gets each change of an install."""
    box = Daemon(tmp_path)
    (tmp_path / "hosts.yaml").write_text(
        "hosts: {w1: {role: worker, mac: 52:54:00:12:34:56}, w2: {role: worker, mac: 52:54:00:12:34:57}}\n"
    )
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    declare(box, pager(receiver))
    yield box
    box.stop()


def pager(receiver: Receiver, *, timeout_s: int = 1, selected: str = MOVED) -> str:
    return PAGER.format(port=receiver.port, secret=URL_SECRET, timeout_s=timeout_s) + selected


def declare(box: Daemon, *hooks: str) -> None:
    box.config.write_text(SETTINGS.format(hooks="\n".join(hooks)))


def arm(box: Daemon, *hosts: str) -> None:
    """Arm hosts by the API, which takes less time than the command."""
    armed = box.api("/api/v1/installs/arm", "-d", json.dumps({"hosts": hosts, "force": True}))
    assert [each["armed"] for each in armed] == [True] * len(hosts)


def cancel(box: Daemon, host: str) -> None:
    assert not box.api(f"/api/v1/hosts/{host}/cancel", "-X", "POST")["armed"]


def listed(box: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = box.api("/api/v1/hooks")
    return found


def test_an_event_is_delivered_signed_and_no_secret_is_shown(box: Daemon, receiver: Receiver):
    box.start()
    arm(box, "w1")
    receiver.has(1)
    ((headers, body),) = receiver.requests
    wait_until(lambda: listed(box)[0]["state"] == "delivering" or None)

    event = Webhook(SECRET).verify(body, headers)
    stored = box.api("/api/v1/hosts/w1/install")
    assert (event["event"], event["host"], event["data"]["by"]) == ("install.moved", "w1", "armed")
    assert stored["armed"]
    (hook,) = listed(box)
    assert (hook["name"], hook["waiting"], hook["signed"]) == ("pager", 0, True)
    assert hook["target"] == f"http://127.0.0.1:{receiver.port}"
    table = box.netboot("hooks", "list")
    assert table.splitlines()[1].split("\t")[:3] == ["pager", "delivering", "0"]
    shown = box.log + json.dumps(hook) + table + box.netboot("hooks", "test", "pager")
    assert URL_SECRET not in shown
    assert SECRET.removeprefix("whsec_") not in shown


def test_a_daemon_that_is_killed_before_a_delivery_delivers_after_its_restart(box: Daemon, receiver: Receiver):
    receiver.statuses += [500] * 1000
    box.start()
    arm(box, "w1")
    receiver.has(2)
    cancel(box, "w1")
    wait_until(lambda: listed(box)[0]["waiting"] == 2 or None)
    box.kill()
    before = len(receiver.requests)
    assert set(receiver.events) == {("armed", "w1")}
    receiver.statuses.clear()

    box.start()
    receiver.has(before + 2)

    assert receiver.events[before:] == [("armed", "w1"), ("cancelled", "w1")]
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 2
    wait_until(lambda: listed(box)[0]["waiting"] == 0 or None)


def test_what_a_command_changes_without_a_daemon_is_delivered_when_one_starts(box: Daemon, receiver: Receiver):
    box.netboot("install", "arm", "w1", "--force")
    assert json.loads(box.run("hooks", "list", "--json").stdout)[0]["waiting"] == 1
    assert receiver.requests == []

    box.start()
    receiver.has(1)

    assert receiver.events == [("armed", "w1")]


def test_a_reload_puts_hooks_in_force_and_removes_what_waits_for_others(box: Daemon, receiver: Receiver):
    receiver.statuses += [500] * 100
    box.start()
    arm(box, "w1")
    failed = box.wait_for("hooks.delivery_failed", hook="pager")
    other = f"- {{name: other, url: 'http://127.0.0.1:{receiver.port}/', hosts: [w2], {MOVED}"
    declare(box, other)
    reloaded = json.loads(box.netboot("reload", "--json"))
    lost = box.wait_for("hooks.deliveries_lost", hook="pager")
    receiver.statuses.clear()
    before = len(receiver.requests)
    arm(box, "w2")
    receiver.has(before + 1)

    assert reloaded["needs_restart"] == []
    assert failed["reason"] == f"http://127.0.0.1:{receiver.port}: HTTP 500"
    assert lost["deliveries"] == 1
    assert [hook["name"] for hook in listed(box)] == ["other"]
    assert receiver.events[-1] == ("armed", "w2")


def test_a_fault_in_a_hook_keeps_the_hooks_in_force(box: Daemon, receiver: Receiver):
    box.start()
    declare(box, f"- {{name: pager, url: 'ftp://127.0.0.1/{URL_SECRET}', {MOVED}")

    refused = box.run("reload")
    arm(box, "w1")
    receiver.has(1)

    assert refused.returncode == 2
    assert "netboot.yaml:7:22: hooks[0].url: is not a URL of http or https" in refused.stderr
    assert URL_SECRET not in refused.stderr + box.log


def test_receivers_that_hang_delay_neither_the_api_nor_the_stop(box: Daemon, receiver: Receiver, tmp_path: Path):
    receiver.statuses += [0] * 100
    hang = "- {name: hang, command: [/bin/sh, -c, 'echo $$ > $0; exec sleep 3600', %s], timeout_s: 25, %s"
    declare(box, pager(receiver, timeout_s=25), hang % (tmp_path / "pid", MOVED))
    box.start()
    arm(box, "w1", "w2")
    receiver.has(2)
    pid = int(written(tmp_path / "pid"))
    began_s = time.monotonic()
    box.api("/api/v1/status")
    assert time.monotonic() - began_s < 2

    began_s = time.monotonic()
    box.signal(signal.SIGTERM)
    assert box.wait() == 0

    assert time.monotonic() - began_s < 8
    assert not Path(f"/proc/{pid}").exists()
    assert {hook["waiting"] for hook in json.loads(box.run("hooks", "list", "--json").stdout)} == {2}


def test_a_command_gets_the_events_of_each_host_in_order(box: Daemon, tmp_path: Path):
    script = tmp_path / "record"
    script.write_text(f"#!/bin/sh\ncat >> {tmp_path}/events\necho >> {tmp_path}/events\n")
    script.chmod(0o755)
    declare(box, f"- {{name: record, command: [{script}], {MOVED}")
    box.start()
    arm(box, "w1")
    cancel(box, "w1")
    arm(box, "w1")

    def received() -> list[dict[str, Any]] | None:
        lines = (tmp_path / "events").read_text().splitlines() if (tmp_path / "events").exists() else []
        return [json.loads(line) for line in lines] if len(lines) == 3 else None

    events = wait_until(received)
    assert [event["data"]["by"] for event in events] == ["armed", "cancelled", "armed"]
    assert {event["appliance"] for event in events} == {os.uname().nodename}


def test_a_test_event_is_delivered_at_once_and_its_answer_printed(box: Daemon, receiver: Receiver):
    box.start()

    accepted = box.netboot("hooks", "test", "pager")
    receiver.statuses += [503]
    refused = json.loads(box.run("hooks", "test", "pager", "--json").stdout)
    receiver.statuses += [503]
    status = box.run("hooks", "test", "pager").returncode
    unknown = box.run("hooks", "test", "nobody")

    (headers, body), *_ = receiver.requests
    event = Webhook(SECRET).verify(body, headers)
    assert (event["id"], event["event"], event["data"]) == (0, "hooks.tested", {"hook": "pager"})
    assert accepted.startswith("pager: accepted in 0.")
    assert accepted.endswith(f" s by http://127.0.0.1:{receiver.port}: HTTP 200\n")
    assert (refused["ok"], refused["answer"]) == (False, f"http://127.0.0.1:{receiver.port}: HTTP 503")
    assert status == 1
    assert unknown.returncode == 1
    assert unknown.stderr == "netboot: no hook is called nobody; those in force: pager\n"
    assert box.api("/api/v1/hooks/nobody/test", "-X", "POST")["code"] == "hook-unknown"


def test_a_test_event_is_delivered_without_a_daemon_too(box: Daemon, receiver: Receiver):
    assert "pager: accepted" in box.netboot("hooks", "test", "pager")

    assert receiver.events == [("hooks.tested", None)]


def test_check_names_what_a_hook_lacks(box: Daemon, receiver: Receiver):
    (box.directory / "secret").unlink()
    declare(box, pager(receiver), f"- {{name: b, command: [/nonexistent], hosts: [w9], {MOVED}")

    checked = box.run("check")

    assert checked.returncode == 1
    assert f"hooks.pager: cannot read the secret {box.directory}/secret: No such file or directory" in checked.stderr
    assert "hooks.b: there is no program /nonexistent; correct command" in checked.stderr
    assert "warning: hooks.b: no host is called w9; correct hosts of the hook" in checked.stderr

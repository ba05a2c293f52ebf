"""Commands that a running daemon answers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.command_line import CommandLine
from fixtures.daemon import Daemon

from netboot.control_socket import RefusedError

pytestmark = pytest.mark.integration


@pytest.fixture
def daemon(netboot: CommandLine) -> Iterator[Daemon]:
    daemon = Daemon(netboot.directory)
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.mark.usefixtures("daemon")
def test_hosts_are_listed_armed_and_cancelled_by_the_daemon(netboot: CommandLine):
    armed = netboot("install", "arm", "cp1", "--reason", "new disk")
    refused = netboot("install", "arm", "w1", "--json")

    assert armed.stdout.startswith("cp1 is armed: its next network boot wipes /dev/disk/by-id/ata-1 ")
    assert "no daemon runs" not in armed.stderr
    assert isinstance(refused.exception, RefusedError)
    view = json.loads(refused.stdout)
    assert list(view) == ["ok", "error", "code", "reasons", "hosts"]
    assert view["error"].startswith("cannot arm w1: cannot render kickstart for w1: ")
    assert (view["ok"], view["code"], view["hosts"]) == (False, "arming-refused", {"w1": view["reasons"]})
    assert [line.split("\t")[4] for line in netboot.printed("host", "list").splitlines()] == [
        "ARMED",
        "yes, 3 of 3 attempts left: new disk",
        "no",
    ]
    assert netboot.printed("install", "cancel", "cp1") == "cp1 is not armed; it boots its own disk\n"
    discovered = netboot.printed("host", "list", "--discovered")
    assert discovered == "MAC\tARCH\tVENDOR CLASS\tUUID\tLAST SEEN\tREPORTED (UNVERIFIED)\tPORT\n"


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("name", ["cp1/history", "cp1?follow=0", "cp1#x", "cp1%2Finstall"])
def test_a_name_is_no_part_of_a_path_of_the_api(netboot: CommandLine, name: str):
    for command in (("host", "show"), ("install", "show"), ("install", "history"), ("install", "cancel")):
        refused = netboot(*command, name)

        assert isinstance(refused.exception, RefusedError), refused.output
        assert str(refused.exception).startswith(f"no host is called {name}; the registry has: cp1, ")


@pytest.mark.usefixtures("daemon")
def test_a_reload_prints_the_result_or_every_fault(netboot: CommandLine):
    taken = netboot.printed("reload")
    netboot.hosts.write_text(netboot.hosts.read_text().replace("role: worker,", "rol: worker,"))

    kept = netboot("reload")
    kept_json = netboot.json("reload", status=2)

    assert taken == "reloaded: 2 hosts\n"
    assert (kept.exit_code, kept.stdout) == (2, "")
    assert kept.stderr.splitlines()[-1] == (
        "1 fault; the daemon keeps the last accepted configuration; correct the files, then reload"
    )
    assert (kept_json["ok"], kept_json["code"]) == (False, "configuration-faulty")
    assert [(Path(fault["file"]).name, fault["where"]) for fault in kept_json["faults"]] == [
        ("hosts.yaml", "hosts.w1.rol")
    ]


@pytest.mark.usefixtures("daemon")
def test_content_changes_reach_the_daemon(netboot: CommandLine):
    netboot("content", "promote", "ock-1.31-amd64", "stable")
    netboot.hosts.write_text(netboot.hosts.read_text().replace("release: ock-1.31-amd64", "release: stable"))
    netboot("reload")
    netboot("install", "arm", "cp1")

    refused = netboot("content", "remove", "stable")
    collected = netboot.printed("content", "gc")

    assert "cannot remove stable: cp1 is armed with it; netboot install cancel cp1" in str(refused.exception)
    assert collected == "nothing was left behind\n"
    assert netboot.json("content", "list")[-1]["used_by"] == ["cp1", "w1"]


def test_an_alias_of_the_same_commit_keeps_the_arming(netboot: CommandLine, daemon: Daemon, content: Path):
    netboot("content", "import-archive", str(content / "ostree" / "ock-1.31-amd64"), "--name", "next")
    netboot("content", "promote", "ock-1.31-amd64", "stable")
    netboot.hosts.write_text(netboot.hosts.read_text().replace("release: ock-1.31-amd64", "release: stable"))
    netboot("reload")
    netboot("install", "arm", "cp1")

    promoted = netboot("content", "promote", "next", "stable")

    assert promoted.stdout == (
        "stable is next now\nnew installs get it: cp1, w1\n"
        "warning: the release next is no image, so no node is updated to it; its tag stable stays\n"
    )
    assert promoted.stderr == ""  # the same commit
    assert '"subject":"promote next stable","actor":"uid 0","source":"control-socket"' in daemon.log


def test_a_check_reports_the_problems_of_the_running_daemon(netboot: CommandLine, daemon: Daemon):
    netboot.hosts.write_text(netboot.hosts.read_text().replace("role: worker,", "rol: worker,"))
    netboot("reload")
    netboot.hosts.write_text("hosts: {}\n")

    problems = netboot.json("check", status=1)["problems"]

    assert [problem for problem in problems if problem.startswith("the running daemon: ")] == [
        "the running daemon: ./hosts.yaml:8:8: hosts.w1.rol: no such key; did you mean role?",
    ]
    assert daemon.exit_code is None


@pytest.mark.usefixtures("daemon")
def test_a_watch_shows_the_events_on_record(netboot: CommandLine):
    netboot("install", "arm", "cp1", "--reason", "x")

    for _ in range(50):  # an event is stored shortly after
        watched = netboot("install", "watch", "cp1", "--no-follow", "--json")
        if watched.stdout:
            break
        time.sleep(0.1)

    (event,) = map(json.loads, watched.stdout.splitlines())
    assert (event["event"], event["host"], event["data"]["by"]) == ("install.moved", "cp1", "armed")


@pytest.mark.usefixtures("daemon")
def test_doctor_judges_content_and_a_host_by_what_the_daemon_knows_of_machines(netboot: CommandLine):
    (content,) = netboot.json("doctor", "--area", "content", status=1)["areas"]
    (host,) = netboot.json("doctor", "--host", "cp1", status=1)["areas"]
    (state,) = [finding for finding in host["findings"] if finding["check"] == "host.state"]

    assert content["not_checked"].keys() == {"content.digests"}
    assert "no machine that was seen needs one" in content["findings"][0]["sentence"]
    assert state["sentence"] == "cp1 is registered; at its next network boot it boots its own disk"
    assert (state["evidence"], host["not_checked"].keys()) == (["armed: no"], {"host.loader_tftp"})

"""Hosts are added, approved, changed, removed and retired while the daemon runs: each is in force at once."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fixtures.files import HOSTS, SETTINGS, write_files
from fixtures.rack import Rack, running, token_in
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

NEW = ("52:54:00:aa:bb:31", "192.0.2.61")
OTHER = ("52:54:00:aa:bb:32", "192.0.2.62")


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    """A daemon that serves cp1 and w1 of hosts.yaml, with a directory in which commands write hosts."""
    settings = SETTINGS.replace("files: [hosts.yaml]", "files: [hosts.yaml, hosts.d]")
    directory = write_files(tmp_path, settings=settings, hosts=HOSTS)
    (directory / "hosts.d").mkdir()
    with running(directory) as rack:
        yield rack


def printed(rack: Rack, *arguments: str, status: int = 0) -> list[str]:
    """What a command prints on standard output, a line each, the directory left out."""
    done = rack.run(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout.replace(f"{rack.directory}/", "").splitlines()


def shown(rack: Rack, *arguments: str) -> Any:
    return json.loads("\n".join(printed(rack, *arguments, "--json")))


def audits(rack: Rack) -> list[tuple[str, str, str, str]]:
    return [(line["action"], line["subject"], line["source"], line["outcome"]) for line in rack.lines("audit.recorded")]


def files(rack: Rack) -> list[str]:
    return sorted(path.name for path in (rack.directory / "hosts.d").iterdir())


def test_an_added_host_is_armed_at_once_and_its_machine_gets_the_installer(rack: Rack):
    machine = rack.machine(*NEW)

    added = printed(rack, "host", "add", "w2", "role=worker", f"mac={NEW[0]}", "labels.rack=r1")
    armed = printed(rack, "install", "arm", "--label", "rack=r1")
    machine.boots()

    assert added == ["w2: hosts.d/w2.yaml written", "reloaded: 3 hosts"]
    assert armed[0] == (
        "w2 is armed: its next network boot wipes /dev/vda and installs ock-1.31-amd64; netboot install watch w2"
    )
    assert "vmlinuz" in machine.script()
    assert audits(rack) == [("add host", "w2", "control-socket", "done")]
    written = (rack.directory / "hosts.d/w2.yaml").stat()
    assert (written.st_mode & 0o777, written.st_gid) == (0o640, (rack.directory / "hosts.d").stat().st_gid)


def test_two_machines_that_requested_a_boot_are_approved_together(rack: Rack):
    for mac, address in (NEW, OTHER):
        rack.machine(mac, address).discover()
    assert {item["mac"] for item in shown(rack, "host", "list", "--discovered")} == {NEW[0], OTHER[0]}
    command = ("host", "approve", OTHER[0], NEW[0].replace(":", "-"), "--role", "worker", "--name", "node-{n}")

    rehearsed = printed(rack, *command, "--dry-run")
    before = files(rack)
    approved = printed(rack, *command, "--address", "192.0.2.62/24", "--address", "192.0.2.61/24")

    assert before == []
    assert rehearsed[0] == f"node-1, the machine {OTHER[0]}, reported (not verified):"
    assert "  vendor class      PXEClient:Arch:00007:UNDI:003001" in rehearsed
    assert approved[-3:] == [
        "node-1: hosts.d/node-1.yaml written",
        "node-2: hosts.d/node-2.yaml written",
        "reloaded: 4 hosts",
    ]
    assert [
        (host["name"], host["macs"], host["network"]["address"])
        for host in shown(rack, "host", "list", "--role", "worker")
    ] == [
        ("w1", ["52:54:00:12:34:56"], None),
        ("node-1", [OTHER[0]], "192.0.2.62/24"),
        ("node-2", [NEW[0]], "192.0.2.61/24"),
    ]
    assert shown(rack, "host", "list", "--discovered") == []
    again = rack.run(*command)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (
        1,
        f"netboot: cannot approve {OTHER[0]}: no unregistered machine with this MAC requested a boot; "
        "netboot host list --discovered shows them, netboot host add registers any other",
    )


def test_a_removed_host_is_no_longer_armed_and_its_machine_boots_its_disk(rack: Rack):
    machine = rack.machine(*NEW)
    rack.netboot("host", "add", "w2", "role=worker", f"mac={NEW[0]}")
    rack.netboot("install", "arm", "w2")

    removed = printed(rack, "host", "remove", "w2", "--reason", "broken board")
    machine.boots()

    assert removed == [
        "w2: hosts.d/w2.yaml deleted",
        "w2 is not armed; it boots its own disk",
        "reloaded: 2 hosts",
    ]
    assert machine.discover() is None  # hosts.unknown: ignore
    assert "vmlinuz" not in machine.script()
    assert files(rack) == []
    last = shown(rack, "install", "history", "w2")[-1]
    assert (last["what"], last["reason"], last["actor"]) == ("cancelled", "broken board", f"uid {os.getuid()}")


def test_a_retired_host_s_tokens_are_unknown_and_an_install_that_runs_is_not_ended_by_mistake(rack: Rack):
    machine = rack.machine(*NEW)
    rack.netboot("host", "add", "w2", "role=worker", f"mac={NEW[0]}")
    rack.netboot("install", "arm", "w2")
    machine.boots()
    script = machine.script()
    kickstart = f"/ks/{token_in(script, 'ks')}"
    report = token_in(machine.get(kickstart).body, "report")

    refused = rack.run("host", "retire", "w2", "--yes")
    retired = printed(rack, "host", "retire", "w2", "--yes", "--force")

    assert (refused.returncode, refused.stderr) == (
        1,
        "netboot: w2 is loading: its installer may be writing the disk; let it end, or remove the host anyway with "
        "--force\n",
    )
    assert retired[0] == "w2: hosts.d/w2.yaml deleted"
    assert "w2 is retired; its disk was not wiped" in retired
    assert machine.get(kickstart).status == 404
    assert machine.report(report, "started") == 404
    assert machine.discover() is None
    assert audits(rack)[1:] == [
        ("retire host", "w2", "control-socket", "refused"),
        ("retire host", "w2", "control-socket", "done"),
    ]


def test_concurrent_adds_are_all_made_or_refused_as_a_whole(rack: Rack):
    commands = [("host", "add", f"n{number}", "role=worker", f"mac=52:54:00:aa:cc:0{number}") for number in range(6)]
    commands += [("host", "add", f"twin{number}", "role=worker", "mac=52:54:00:aa:cc:99") for number in range(3)]

    with ThreadPoolExecutor(len(commands)) as pool:
        done = list(pool.map(lambda command: rack.run(*command), commands))

    assert [each.returncode for each in done[:6]] == [0] * 6
    assert sorted(each.returncode for each in done[6:]) == [0, 2, 2]
    names = [host["name"] for host in shown(rack, "host", "list")]
    assert len(names) == 9
    assert files(rack) == sorted(f"{name}.yaml" for name in names if name not in ("cp1", "w1"))
    assert rack.netboot("reload").splitlines() == ["reloaded: 9 hosts"]


def test_a_change_with_a_new_fault_is_refused_with_exit_code_2_and_nothing_changes(rack: Rack):
    done = rack.run("host", "add", "w2", "role=worker", "mac=52:54:00:12:34:56")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.replace(f"{rack.directory}/", "").splitlines() == [
        "hosts.d/w2.yaml:5:10: hosts.w2.mac: 52:54:00:12:34:56 belongs to w1 already (hosts.yaml:8:27); "
        "give each NIC to one host",
        "1 problem; nothing was changed",
    ]
    assert files(rack) == []
    assert "config.rejected" not in rack.log


def test_a_host_that_a_person_wrote_is_refused_with_its_place(rack: Rack):
    done = rack.run("host", "set", "w1", "disk=/dev/vdb")

    assert (done.returncode, done.stderr.replace(f"{rack.directory}/", "")) == (
        1,
        "netboot: hosts.yaml:8:3: w1 was declared here by a person, and commands change only hosts.d/w1.yaml; "
        "edit hosts.yaml, then netboot reload\n",
    )


def test_a_change_beside_a_fault_of_another_file_is_made_and_is_not_in_force(rack: Rack):
    (rack.directory / "hosts.d/broken.yaml").write_text("hosts: {x1: {rol: worker}}\n")

    added = printed(rack, "host", "add", "w2", "role=worker", f"mac={NEW[0]}")

    assert added[:2] == [
        "w2: hosts.d/w2.yaml written",
        "not in force: the daemon keeps the accepted hosts because of faults that were there before",
    ]
    assert added[2].startswith("hosts.d/broken.yaml:1:")
    (rack.directory / "hosts.d/broken.yaml").unlink()
    assert rack.netboot("reload") == "reloaded: 3 hosts\n"


def test_a_changed_disk_ends_the_arming_as_any_reload_does(rack: Rack):
    machine = rack.machine(*NEW)
    rack.netboot("host", "add", "w2", "role=worker", f"mac={NEW[0]}")
    rack.netboot("install", "arm", "w2")

    changed = printed(rack, "host", "set", "w2", "disk=/dev/vdb")
    machine.boots()

    assert changed == [
        "w2: hosts.d/w2.yaml written",
        "reloaded: 3 hosts",
        "the arming of w2 ended: netboot install history w2",
    ]
    assert machine.discover()[BOOTP].file.rstrip(b"\0") == b""


def test_without_the_daemon_the_command_writes_the_same_file_and_the_next_start_has_it(rack: Rack):
    rack.kill()

    done = rack.run("host", "add", "w2", "role=worker", f"mac={NEW[0]}")
    rack.start()

    assert done.stderr == (
        "netboot: no daemon runs; changed hosts files and store itself; start it with systemctl start netboot\n"
    )
    assert [host["name"] for host in shown(rack, "host", "list")] == ["cp1", "w1", "w2"]


def test_hosts_are_changed_over_loopback_while_no_user_exists(rack: Rack):
    values = {"role": "worker", "mac": NEW[0]}

    added = rack.curl_api("-X", "POST", "-d", json.dumps({"name": "w2", "values": values}), "/api/v1/hosts")
    removed = rack.curl_api("-X", "DELETE", "/api/v1/hosts/w2")

    assert (added.status, removed.status) == (201, 200)
    assert audits(rack) == [("add host", "w2", "api", "done"), ("remove host", "w2", "api", "done")]

"""Commands on the store and the files while no daemon runs: what they print as text and as JSON."""

import asyncio
import json
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from fixtures.command_line import CommandLine

from netboot.errors import ConfigError, NetbootError, StoreError
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.mac import Mac
from netboot.store.database import Database
from netboot.store.machines import Machines

CP1_ARMED = """\
cp1 is armed: its next network boot wipes /dev/disk/by-id/ata-1 and installs ock-1.31-amd64; netboot install watch cp1
  MAC         02:00:00:00:00:01
  disk        /dev/disk/by-id/ata-1
  release     ock-1.31-amd64 (commit {commit})
  boot media  ol8u10-x86_64
  attempts    2
"""
NO_DISK = "cannot render kickstart for w1: template kickstart/node.ks.j2:26 uses undefined 'disk'; set hosts.w1.disk"
STARTS_CLUSTER = "cp1 is cluster.init: its installed system starts a new cluster rackone"


def test_a_host_is_armed_watched_and_cancelled(netboot: CommandLine):
    armed = netboot("install", "arm", "cp1", "--reason", "new disk", "--attempts", "2")
    commit = netboot.json("content", "show", "ock-1.31-amd64")["commit"][:12]

    assert armed.stdout == CP1_ARMED.format(commit=commit)
    assert armed.stderr.splitlines() == [
        "netboot: no daemon runs; changed the store itself; start it with systemctl start netboot",
        f"warning: {STARTS_CLUSTER}",
    ]
    assert netboot.printed("install", "list").splitlines() == [
        "HOST\tSTATE\tARMED\tCHANGED\tNOTE",
        "cp1\tregistered\tyes, 2 of 2 attempts left: new disk\tnever\t",
    ]
    assert netboot.printed("install", "show") == netboot.printed("install", "list")
    assert netboot.printed("install", "show", "cp1").startswith(
        "cp1 is registered, changed never; armed: yes, 2 of 2 attempts left: new disk\n"
        "reason: no boot request of cp1 was received since it was armed; "
    )
    (event,) = netboot.printed("install", "watch", "cp1", "--no-follow", "--json").splitlines()
    assert '"event": "install.moved", "host": "cp1"' in event
    assert netboot.printed("install", "cancel", "cp1") == "cp1 is not armed; it boots its own disk\n"
    moves = [
        (move["what"], move["from"], move["to"], move["note"]) for move in netboot.json("install", "history", "cp1")
    ]
    assert moves == [("armed", "registered", "registered", "new disk"), ("cancelled", "registered", "registered", "")]


def test_of_several_hosts_none_is_armed_if_one_is_not_ready_and_force_arms_all(netboot: CommandLine):
    refused = netboot("install", "arm", "cp1", "w1", "--json")
    armed = netboot.json("install", "arm", "cp1", "w1", "--force")

    assert isinstance(refused.exception, NetbootError)
    assert refused.stdout.count("\n") == 1
    assert json.loads(refused.stdout) == {
        "ok": False,
        "error": f"cannot arm w1: {NO_DISK}\nnothing was armed; correct this, or arm anyway with --force",
        "code": "arming-refused",
        "reasons": [NO_DISK],
        "hosts": {"w1": [NO_DISK]},
    }
    assert [(each["host"], each["reasons"], each["warnings"]) for each in armed] == [
        ("cp1", [], [STARTS_CLUSTER]),
        ("w1", [NO_DISK], []),
    ]


def test_a_host_is_shown_with_every_default(netboot: CommandLine):
    shown = netboot.printed("host", "show", "cp1")

    assert (
        shown
        == """\
name              cp1
role              control-plane
macs              02:00:00:00:00:01
groups            –
labels            –
hostname          –
variables         –
boot_media        ol8u10-x86_64
release           ock-1.31-amd64
disk              /dev/disk/by-id/ata-1
release_members   False
timezone          UTC
ntp               192.0.2.1
kernel_arguments  –
network           –
ssh_keys          –
registries        –
ca_anchors        –
ignition          ./ign/init.ign
loader            –
firmware          –
rom_ipxe          keep
local_boot        –
install_require   –
bmc               –
declared_at       ./hosts.yaml:7:3
state             registered, changed never
armed             no
reason            cp1 is not armed, so it boots its own disk; netboot install arm cp1
checks            –
last heard        never
last offer        never
last reason       never
disks             –
"""
    )


def test_hosts_and_discovered_machines_are_listed(netboot: CommandLine):
    async def record() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{netboot.directory}/netboot.db")
        machines = Machines(database)
        at = datetime.now(UTC)
        machines.keep(Machine(Mac.parse("02:00:00:00:00:99"), at, at, arch="x64-uefi", vendor_class="PXEClient"))
        facts = {MachineFact.PRODUCT: "R650", MachineFact.SERIAL: "A1", MachineFact.SWITCH: "sw1"}
        for mac in ("02:00:00:00:00:98", "02:00:00:00:00:01"):
            path = RelayPath(IPv4Address("198.51.100.1"), "eth0/1/7")
            machines.keep(Machine(Mac(mac), at, at, arch="x64-uefi", facts=facts, first_path=path, last_path=path))
        machines.keep(Machine(Mac("02:00:00:00:00:97"), at, at, arch="x64-uefi", last_path=path))
        await machines.close()
        await database.close()

    asyncio.run(record())

    assert netboot.printed("host", "list").splitlines() == [
        "HOST\tROLE\tMAC\tSTATE\tARMED\tCHANGED\tADDRESS",
        "cp1\tcontrol-plane\t02:00:00:00:00:01\tregistered\tno\tnever\t",
        "w1\tworker\t02:00:00:00:00:02\tregistered\tno\tnever\t",
    ]
    discovered = netboot.printed("host", "list", "--discovered").splitlines()
    assert [discovered[0], *sorted(discovered[1:])] == [
        "MAC\tARCH\tVENDOR CLASS\tUUID\tLAST SEEN\tREPORTED (UNVERIFIED)\tPORT",
        "02:00:00:00:00:97\tx64-uefi\t\t\t0 s ago\t\tby relay 198.51.100.1 circuit eth0/1/7",
        "02:00:00:00:00:98\tx64-uefi\t\t\t0 s ago\tR650 A1\tsw1",
        "02:00:00:00:00:99\tx64-uefi\tPXEClient\t\t0 s ago\t\t",
    ]
    assert netboot.printed("host", "show", "cp1").splitlines()[-4:] == [
        "machines          02:00:00:00:00:01: first seen 0 s ago, last seen 0 s ago",
        "                    first request by relay 198.51.100.1 circuit eth0/1/7",
        "                    last request by relay 198.51.100.1 circuit eth0/1/7",
        "                    reported by the machine, unverified: product R650, serial A1, switch sw1",
    ]


def test_a_host_is_inspected_once_more_through_the_store(netboot: CommandLine):
    requested = netboot("host", "inspect", "02-00-00-00-00-01")
    (inspection,) = netboot.json("host", "show", "cp1")["inspections"]
    refused = netboot.json("host", "inspect", "02:00:00:00:00:99", status=1)

    assert requested.stdout == (
        "cp1 is inspected at its next network boot with ol8u10-x86_64; afterwards: netboot host show cp1\n"
    )
    assert requested.stderr.startswith("netboot: no daemon runs; changed the store itself")
    assert (inspection["mac"], inspection["begun_at"], inspection["hardware"]) == ("02:00:00:00:00:01", None, None)
    assert refused["code"] == "host-unknown"


def test_the_medium_that_inspects_machines_is_not_removed_and_is_checked(netboot: CommandLine):
    settings = netboot.config.read_text()
    netboot.config.write_text(settings + "hosts: {inspect_media: ol99}\n")

    problems = netboot.json("check", status=1)["problems"]
    netboot.config.write_text(settings + "hosts: {inspect_media: ol8u10-x86_64}\n")
    removed = netboot("content", "remove", "ol8u10-x86_64")

    assert any(problem.startswith("hosts.inspect_media: ") for problem in problems)
    assert "hosts.inspect_media names it" in str(removed.exception)


def test_a_watch_that_follows_needs_a_daemon(netboot: CommandLine):
    watched = netboot("install", "watch", "cp1")

    assert str(watched.exception) == (
        "no daemon runs, so nothing will happen; netboot serve, or watch with --no-follow"
    )


def test_a_store_that_cannot_be_read_is_reported_with_the_cure_that_check_prints(netboot: CommandLine):
    (netboot.directory / "netboot.db").write_bytes(b"no database")

    listed = netboot("host", "list")
    (problem,) = [each for each in netboot.json("check", status=1)["problems"] if each.startswith("store.url: ")]

    assert isinstance(listed.exception, StoreError)
    assert str(listed.exception).partition("; ")[2] == "restore a backup, or correct store.url"
    assert problem.partition("; ")[2] == "restore a backup, or correct store.url"


@pytest.mark.parametrize(
    "command", ["plan", "host list", "install arm w1", "content list", "reload", "content verify x --repair-from /"]
)
def test_with_json_a_fault_of_the_settings_is_json_in_one_line(netboot: CommandLine, command: str):
    netboot.config.write_text("stor: {}\n")

    done = netboot(*command.split(), "--json")

    assert isinstance(done.exception, ConfigError)
    fault = {"file": "./netboot.yaml", "line": 1, "column": 1, "where": "stor", "what": "no such setting"}
    assert netboot.json(*command.split(), status=1) == {
        "ok": False,
        "error": "./netboot.yaml:1:1: stor: no such setting; did you mean store?",
        "code": "configuration-faulty",
        "faults": [fault | {"cure": "did you mean store?"}],
    }


@pytest.mark.parametrize(
    ("command", "error", "code", "status"),
    [
        ("host show w9", "no host is called w9; the registry has: cp1, w1", "host-unknown", 1),
        ("plan w9", "no host is called w9; netboot host list shows them", "host-unknown", 1),
        (
            "content show x",
            "there is no medium and no release x in ./content; netboot content list",
            "content-unusable",
            1,
        ),
        (
            "reload",
            "no daemon listens on ./control.sock; systemctl start netboot, or netboot serve",
            "daemon-not-running",
            1,
        ),
        ("content verify --repair-from /", "--repair-from requires the NAME to repair", "usage", 2),
        ("install arm", "Missing argument 'HOST...'.", "usage", 2),
        ("lab boot", "name a HOST, or a --firmware", "usage", 2),
        ("lab boot cp1 --name none", "no lab named none is up; start one with `netboot lab up`", "lab-failed", 1),
    ],
)
def test_with_json_every_fault_is_json(netboot: CommandLine, command: str, error: str, code: str, status: int):
    assert netboot.json(*command.split(), status=status) == {"ok": False, "error": error, "code": code}

"""`netboot content` on a library without a daemon: import, list, show, verify, promote, remove."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from fixtures.command_line import CommandLine

from netboot.errors import ContentError
from netboot.events.event_log import EventLog
from netboot.model.install.event import Event
from netboot.store.database import Database

RELEASE = "ock-1.31-amd64"


def test_media_and_releases_are_listed_with_their_users(netboot: CommandLine):
    netboot("content", "promote", RELEASE, "stable")
    commit = netboot.json("content", "show", RELEASE)["commit"]

    assert netboot.printed("content", "list").splitlines() == [
        "NAME\tKIND\tWHAT\tSIZE\tIMPORTED\tUSED BY",
        "ol8u10-x86_64\tboot medium\t\t0.0 MB\tcopied in\tcp1, w1",
        f"{RELEASE}\trelease\tock {commit[:12]}\t0.0 MB\tcopied in\tcp1, w1",
        f"stable\trelease\t= {RELEASE}\t\tcopied in\t-",
    ]
    assert netboot.printed("content", "show", RELEASE).splitlines() == [
        f"name: {RELEASE}",
        "kind: release",
        "aliases: stable",
        f"what: ock {commit[:12]}",
        "ref: ock",
        f"commit: {commit}",
        "size: 0.0 MB",
        f"path: ./content/ostree/{RELEASE}",
        "used by: cp1, w1",
    ]


def test_a_release_is_imported_verified_repaired_and_removed(netboot: CommandLine):
    source = netboot.directory / "content" / "ostree" / RELEASE
    imported = netboot.printed("content", "import-archive", str(source), "--name", "second")
    again = netboot.json("content", "import-archive", str(source), "--name", "second")
    file = next((netboot.directory / "content" / "ostree" / "second" / "objects").rglob("*.filez"))
    damaged = file.relative_to(netboot.directory / "content" / "ostree" / "second")
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(bytes(len(data)))

    bad = netboot("content", "verify", "second")
    repaired = netboot.json("content", "verify", "second", "--repair-from", str(source))
    removed = netboot.json("content", "remove", "second")

    assert imported.startswith("second is there now: commit ")
    assert imported.endswith(", every object verified\n")
    assert (again["name"], again["is_new"]) == ("second", False)
    assert bad.exit_code == 1
    assert bad.stdout.splitlines()[0].startswith(f"second: {damaged}: ")
    assert bad.stdout.splitlines()[1] == "second: 1 bad; netboot content verify second --repair-from SOURCE"
    assert repaired == [
        {
            "name": "second",
            "kind": "release",
            "ok": True,
            "checked": 24,
            "faults": {},
            "repaired": [str(damaged)],
            "notes": [],
        }
    ]
    assert removed["removed"] == "second"
    assert netboot.printed("content", "verify", RELEASE) == f"{RELEASE}: sound, 24 objects\n"
    assert netboot.printed("content", "gc") == "nothing was left behind\n"


def test_what_a_host_or_an_alias_needs_is_not_removed(netboot: CommandLine):
    netboot("content", "promote", RELEASE, "stable")

    refused = netboot("content", "remove", RELEASE)

    assert isinstance(refused.exception, ContentError)
    assert str(refused.exception).replace(str(netboot.directory), ".").splitlines() == [
        f"cannot remove {RELEASE}: cp1 refers to it (./hosts.yaml:7:3); give it another in the hosts files",
        f"cannot remove {RELEASE}: w1 refers to it (./hosts.yaml:8:3); give it another in the hosts files",
        f"cannot remove {RELEASE}: it is also called stable; netboot content promote another, or remove it",
    ]
    assert netboot.printed("content", "remove", "stable") == "stable is removed\n"


@pytest.mark.parametrize("is_directory", [False, True])
def test_a_name_in_a_faulty_hosts_file_counts_as_used(netboot: CommandLine, is_directory: bool):
    faulty = "hosts:\n  w1: {rol: worker, mac: '02:00:00:00:00:02', release: ock-1.31-amd64}\n"
    netboot.hosts.unlink()
    if is_directory:
        netboot.hosts.mkdir()
        (netboot.hosts / "w1.yaml").write_text(faulty)
        where = "./hosts.yaml/w1.yaml"
        netboot.config.write_text(netboot.config.read_text() + "hosts: {files: [hosts.yaml]}\n")
    else:
        netboot.hosts.write_text(faulty)
        where = "./hosts.yaml"

    refused = netboot("content", "remove", RELEASE)
    listed = netboot("content", "list")

    assert (
        str(refused.exception)
        .replace(str(netboot.directory), ".")
        .startswith(f"cannot remove {RELEASE}: {where}:2 mentions it, and the hosts files have a fault ({where}:2:")
    )
    assert "note: the hosts files have a fault, so USED BY may not be complete: " in listed.stderr


def test_an_armed_release_is_not_removed_although_no_file_names_it(netboot: CommandLine):
    netboot("install", "arm", "cp1")
    netboot.hosts.write_text("hosts: {}\n")

    refused = netboot("content", "remove", RELEASE)

    assert str(refused.exception) == (f"cannot remove {RELEASE}: cp1 is armed with it; netboot install cancel cp1")


def test_a_change_of_content_without_a_daemon_is_recorded_in_a_store_that_exists(netboot: CommandLine):
    netboot("content", "promote", RELEASE, "early")
    netboot("host", "list")

    netboot("content", "promote", RELEASE, "stable")

    events = asyncio.run(recorded(netboot))
    assert [(event.name, event.data["subject"], event.data["actor"], event.data["source"]) for event in events] == [
        ("audit.recorded", f"promote {RELEASE} stable", f"uid {os.getuid()}", "command")
    ]


async def recorded(netboot: CommandLine) -> list[Event]:
    database = await Database.open(f"sqlite+aiosqlite:///{netboot.directory}/netboot.db")
    try:
        return await EventLog(database).after(0)
    finally:
        await database.close()


def test_a_removed_command_names_its_replacement(netboot: CommandLine):
    done = netboot("content", "publish", "s3://bucket", "--json")

    assert done.exit_code == 2
    assert "netboot content publish was removed; copy the content directory with rclone sync" in done.stderr


def test_a_file_that_is_no_iso_is_refused_as_json(netboot: CommandLine, tmp_path: Path):
    file = tmp_path / "download.iso"
    shutil.copy(netboot.config, file)

    found = netboot.json("content", "import-iso", str(file), status=1)

    assert found["error"].startswith(f"cannot import {file}: ") or str(file) in found["error"]

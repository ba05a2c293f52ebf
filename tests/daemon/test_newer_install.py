"""An install that a newer version wrote: its machine is not installed, and the daemon serves the other hosts."""

import sqlite3
from contextlib import closing

import pytest
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

CP1, W1 = ("52:54:00:aa:bb:01", "192.0.2.50"), ("52:54:00:12:34:56", "192.0.2.51")
NEEDED = (
    "cannot read the install of cp1 in the store: 'retiring' is not a valid InstallState; if a newer version of "
    "netboot wrote it, install that version again, otherwise restore a backup; until then its machine waits, or boots "
    "its own disk"
)


def write_state(rack: Rack, state: str) -> None:
    with closing(sqlite3.connect(rack.directory / "netboot.db")) as store, store:
        store.execute("UPDATE installs SET state = ? WHERE host = 'cp1'", (state,))
        store.execute("UPDATE moves SET to_state = ? WHERE host = 'cp1'", (state,))


def test_a_state_that_only_a_newer_version_knows_is_named_and_stops_no_other_host(rack: Rack):
    for host in ("cp1", "w1"):
        rack.netboot("install", "arm", host, "--force")
    rack.stop()
    write_state(rack, "retiring")

    rack.start()
    cp1, w1 = rack.machine(*CP1), rack.machine(*W1)
    for machine in (cp1, w1):
        machine.boots()
    not_installed, installed = cp1.script(), w1.script()
    refused = rack.netboot("install", "arm", "cp1", "--force", status=1)
    problems = rack.api("/api/v1/status")["problems"]
    listed = {each["name"] for each in rack.api("/api/v1/hosts")}
    history = rack.api("/api/v1/hosts/cp1/history")
    rack.netboot("reload")
    rack.stop()
    write_state(rack, "registered")
    rack.start()

    assert "/ks/" not in not_installed
    assert "/ks/" in installed
    assert problems == [NEEDED]
    assert NEEDED in refused
    assert (listed, history) == ({"cp1", "w1"}, [])
    assert rack.api("/api/v1/status")["problems"] == []
    assert rack.install("cp1")["armed"]

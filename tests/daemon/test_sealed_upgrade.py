"""An install that runs during the upgrade from schema version 17 goes on with the tokens that its machine has."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS, write_boot_files, write_files
from fixtures.rack import Rack, running, token_in
from fixtures.stored_databases import load_stored
from secrets_search import Secret, database_files, search

pytestmark = pytest.mark.integration

TOKENS: Final = {kind: f"{digits}" * 4 for kind, digits in (
    ("kickstart", "1a2b3c4d"), ("ignition", "5e6f7a8b"), ("report", "9c0d1e2f"), ("node", "a1b2c3d4")
)}  # fmt: skip
CLEAR: Final = [Secret(f"{kind} token", token) for kind, token in TOKENS.items()]


@pytest.fixture
def upgraded(tmp_path: Path) -> Rack:
    """An appliance whose store of version 17 has cp1 in the installer: its script was sent."""
    directory = write_files(tmp_path, settings=SETTINGS + "updates: {report: true}\n")
    write_boot_files(directory / "boot")
    load_stored(f"sqlite+aiosqlite:///{directory}/netboot.db", 17)
    with closing(sqlite3.connect(directory / "netboot.db")) as store, store:
        tokens = ", ".join(f"{kind}_token = '{token}'" for kind, token in TOKENS.items())
        target = '{"macs": ["52:54:00:aa:bb:01"], "disk": "/dev/vda", "release": "ock-1.31-amd64", "commit": null, '
        store.execute(
            f"UPDATE installs SET {tokens}, checks = NULL, target = '{target}\"addresses\": []}}' WHERE host = 'cp1'"
        )
        store.execute("DELETE FROM accepted_files")
        store.execute("UPDATE machines SET addresses = '[\"192.0.2.50\"]' WHERE mac = '52:54:00:aa:bb:01'")
    return directory


def test_a_running_install_ends_after_the_upgrade(upgraded: Path):
    assert {each.secret for each in search(database_files(upgraded / "netboot.db"), CLEAR)} == {
        secret.name for secret in CLEAR
    }
    with running(upgraded) as rack:
        copies = database_files(upgraded / "netboot.db")
        cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")

        kickstart = cp1.get(f"/ks/{TOKENS['kickstart']}").body
        assert (token_in(kickstart, "report"), token_in(kickstart, "ign")) == (TOKENS["report"], TOKENS["ignition"])
        assert cp1.report(TOKENS["report"], "started") == 200
        assert cp1.report(TOKENS["report"], "done") == 200
        overlay = unquote(cp1.get(f"/ign/{TOKENS['ignition']}/overlay").body)
        assert token_in(overlay, "node") == TOKENS["node"]
        assert cp1.get(f"/ign/{TOKENS['ignition']}").status == 200
        assert cp1.report(TOKENS["report"], "ready") == 200
        assert cp1.post(f"/node/{TOKENS['node']}", f"booted {'ab' * 32}\nupdater active\n".encode()) == 200
        assert rack.install("cp1")["state"] == "ready"
        copies |= {f"{name} at the end": data for name, data in database_files(upgraded / "netboot.db").items()}

    assert any(b"reported-ready" in data for data in copies.values())
    assert search(copies, CLEAR) == []
    assert (upgraded / "store.key").stat().st_mode & 0o777 == 0o600
    assert "store.remains_not_erased" not in rack.log


def test_without_its_key_a_daemon_serves_and_an_armed_machine_waits_with_the_cure(tmp_path: Path):
    directory = write_files(tmp_path)
    write_boot_files(directory / "boot")
    key_file = directory / "store.key"
    needed = f"store.key_file: there is no {key_file}; the key "
    with running(directory) as rack:
        rack.netboot("install", "arm", "cp1", "--force")
        cp1, w1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50"), rack.machine("52:54:00:12:34:56", "192.0.2.51")
        cp1.boots()
        report = token_in(cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body, "report")
        rack.stop()
        key_file.rename(directory / "kept")

        rack.start()
        cp1.boots()
        w1.boots()
        waits, local, refused = cp1.script(), w1.script(), cp1.report(report, "done")
        wait_until(lambda: needed in held_back(rack) or None, failed=lambda: held_back(rack))
        problems = rack.api("/api/v1/status")["problems"]
        checked = rack.run("check")
        armed = rack.install("cp1")
        rack.stop()

        (directory / "kept").rename(key_file)
        rack.start()
        cp1.boots()
        again = cp1.script()

    assert "cp1 waits: its installer cannot be served now" in waits
    assert "/ks/" not in waits
    assert "/ks/" not in local
    assert "exit" in local
    assert refused == 503
    assert any(problem.startswith(needed) for problem in problems)
    assert needed in checked.stdout + checked.stderr
    assert (armed["armed"] is not None, key_file.stat().st_size) == (True, 32)
    assert "/ks/" in again


def held_back(rack: Rack) -> str:
    return rack.api_text("/api/v1/events?host=cp1&event=boot.script_held_back&follow=0").decode()

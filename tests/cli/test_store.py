"""`netboot store`: backup, restore and check, as an operator types them; tests/daemon has them beside a daemon."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.command_line import CommandLine

from netboot.errors import StoreError
from netboot.store import tables
from netboot.store.backup.backup_file import BackupError
from netboot.store.failure import NEWEST_VERSION


@pytest.fixture
def filled(netboot: CommandLine) -> CommandLine:
    """An appliance whose store has an API token."""
    netboot.printed("token", "create", "ci", "--role", "read-only")
    return netboot


def test_a_store_is_backed_up_verified_and_restored(filled: CommandLine):
    backup = str(filled.directory / "netboot.backup")

    made = filled.json("store", "backup", backup)
    checked = filled.printed("store", "check", backup)
    filled.printed("token", "revoke", "ci")
    restored = filled.printed("store", "restore", backup)
    in_place = filled.printed("store", "check")

    assert made["file"] == "./netboot.backup"
    assert made["size_bytes"] == Path(backup).stat().st_size
    assert checked.startswith("./netboot.backup is sound: ")
    assert restored.splitlines()[1:] == [
        "the previous store is kept: ./netboot.db.before-restore",
        "hosts whose arming or tokens ended: none",
        "no logins ended",
        "users and API tokens are as they were then: revoke again what was revoked since (netboot token list)",
        "start the daemon, on every appliance of the store: systemctl start netboot",
    ]
    assert [token["name"] for token in filled.json("token", "list")] == ["ci"]
    assert in_place.endswith("is sound\n")


def test_json_has_counts_and_lists_only_faults(filled: CommandLine):
    backup = str(filled.directory / "netboot.backup")

    made = filled.json("store", "backup", backup)
    of_backup = filled.json("store", "check", backup)
    in_place = filled.json("store", "check")
    restored = filled.json("store", "restore", backup)

    summary = {name: value for name, value in made.items() if name not in ("file", "size_bytes")}
    assert summary == {
        **{name: made[name] for name in ("taken_at", "appliance", "netboot_version", "key_digest")},
        "schema_version": NEWEST_VERSION,
        "database": "sqlite",
        "tables": len(tables.metadata.tables) - 1,
        "rows": made["rows"],
    }
    assert made["rows"] > 0
    assert of_backup == {"ok": True, "file": "./netboot.backup", **summary}
    counts = {name: summary[name] for name in ("schema_version", "tables", "rows")}
    assert in_place == {"ok": True, **counts, "faults": []}
    assert restored == {
        "backup": summary,
        "kept": "./netboot.db.before-restore",
        "ended": {"hosts": 0, "machines": 0, "logins": 0},
        "keeps_armings": False,
        "key_problem": None,
    }


def test_a_backup_goes_to_standard_output(filled: CommandLine):
    command = [sys.executable, "-m", "netboot", "--config", filled.config, "store", "backup", "-"]

    done = subprocess.run(command, capture_output=True, check=True, timeout=60)

    (filled.directory / "piped").write_bytes(done.stdout)
    assert filled.json("store", "check", str(filled.directory / "piped"))["ok"] is True


def test_a_damaged_backup_is_a_fault_that_names_the_part(filled: CommandLine):
    place = filled.directory / "netboot.backup"
    filled.printed("store", "backup", str(place))
    data = bytearray(place.read_bytes())
    data[data.index(b"tables/api_tokens") + 512 + 3] ^= 0x10
    place.write_bytes(data)

    done = filled("store", "check", str(place))
    refused = filled("store", "restore", str(place), "--json")

    assert isinstance(done.exception, BackupError)
    assert "is damaged: tables/api_tokens.jsonl.zst: its bytes have the checksum" in str(done.exception)
    assert json.loads(refused.stdout)["code"] == "backup-unusable"
    assert not (filled.directory / "netboot.db.before-restore").exists()


def test_a_damaged_store_ends_the_check_with_1(filled: CommandLine):
    database = filled.directory / "netboot.db"
    subprocess.run(["python3", "-c", DAMAGE, database], check=True)

    done = filled("store", "check")
    found = filled("store", "check", "--json")

    assert done.exit_code == 1
    assert "  api_tokens: a row cannot be read" in done.stdout or "  users: a row cannot be read" in done.stdout
    assert "netboot store restore FILE" in done.stderr
    assert json.loads(found.stdout)["ok"] is False


def test_a_wrong_key_is_cured_by_the_key_and_not_by_a_restore(filled: CommandLine):
    key_file = filled.directory / "store.key"
    key_file.write_bytes(bytes(32))

    done = filled("store", "check")

    assert done.exit_code == 1
    assert "\n  key: store.key_file: " in done.stdout
    assert "then restart netboot; if it is lost: stop netboot, then netboot store rekey --discard\n" in done.stdout
    assert "restore FILE" not in done.output


DAMAGE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE api_tokens SET role = 'root'")
connection.commit()
"""


def test_a_directory_that_does_not_exist_is_named_with_its_cure(filled: CommandLine):
    done = filled("store", "backup", "/nonexistent/netboot.backup")

    assert str(done.exception) == (
        "cannot write /nonexistent/netboot.backup: No such file or directory; name a file in another directory"
    )


def test_what_is_no_store_and_no_backup_is_named(netboot: CommandLine):
    assert isinstance(netboot("store", "backup", str(netboot.directory / "x")).exception, StoreError)
    assert isinstance(netboot("store", "restore", str(netboot.config)).exception, BackupError)
    assert isinstance(netboot("store", "check", str(netboot.directory / "none")).exception, BackupError)

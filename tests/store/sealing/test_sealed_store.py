"""A store in each database: nothing that it stores is in clear, and what its key does not open harms nothing else."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import postgresql
import pytest
from fixtures.sealed_store import (
    ALICE,
    AT,
    CLEAR,
    CP1,
    INSPECTION,
    LOADING,
    MAC,
    NO_KEY,
    STORED,
    TOKENS,
    UNOPENED,
    W1,
    bytes_of,
    fill,
    psql,
    read,
    run_on,
)
from fixtures.stored_databases import load_stored
from secrets_search import Secret, search
from sqlalchemy import make_url

from netboot.errors import StoreError
from netboot.model.install.inspection import Inspection
from netboot.model.install.install import Install
from netboot.model.install.token import TokenKind, Tokens
from netboot.store.access.account_store import AccountStore
from netboot.store.database import Database
from netboot.store.inspections import Inspections
from netboot.store.installs import Installs
from netboot.store.sealing.key_file import write_key
from netboot.store.sealing.sealing import StoreKey


def test_what_is_stored_is_read_again(store_url: str):
    run_on(store_url, fill)

    assert run_on(store_url, read) == STORED


def test_no_file_of_an_open_store_and_no_dump_has_a_value_in_clear(store_url: str):
    async def filled(database: Database) -> dict[str, bytes]:
        await fill(database)
        return await asyncio.to_thread(bytes_of, store_url)

    outputs = run_on(store_url, filled)

    assert any(b"script-sent" in data for data in outputs.values())
    assert search(outputs, CLEAR) == []


def clear_17(url: str) -> list[Secret]:
    """Load a store of version 17 with values of its own, and return what it has in clear."""
    load_stored(url, 17)
    execute(url, *(f"UPDATE installs SET {kind}_token = '{TOKENS.of(kind)}' WHERE host = 'cp1'" for kind in TokenKind))
    wipe = json.dumps({"token": "6a" * 16})[1:-1]
    execute(
        url,
        f"UPDATE inspections SET token = '{'6a' * 16}', wipe = '{{{wipe}, {_wipe_columns()}}}' WHERE mac LIKE '%:02'",
        "UPDATE accepted_files SET text = 'hosts: {} # planted-in-hosts'",
        f"UPDATE served_documents SET sha256 = '{'7b' * 32}', text = 'planted-text'",
        "UPDATE users SET password_hash = '$argon2id$planted-in-hash'",
    )
    return CLEAR


def _wipe_columns() -> str:
    return json.dumps(
        {"host": "w1", "macs": [MAC], "disk": "/dev/vda", "state": "begun", "at": AT.isoformat(), "note": ""}
    )[1:-1]


def execute(url: str, *statements: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        for statement in statements:
            psql(url, statement)
        return
    with closing(sqlite3.connect(str(parsed.database))) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_store_of_version_17_has_them_in_clear(store_url: str):
    """Otherwise the test of the migration could not fail."""
    clear = clear_17(store_url)

    assert {finding.secret for finding in search(bytes_of(store_url), clear)} == {secret.name for secret in clear}


def test_a_migration_leaves_no_clear_value_in_the_files_and_loses_none(store_url: str):
    clear = clear_17(store_url)

    async def after(database: Database) -> tuple[dict[str, bytes], list[Install], list[Inspection]]:
        outputs = await asyncio.to_thread(bytes_of, store_url)
        return outputs, await Installs(database).all(), await Inspections(database).all()

    outputs, installs, inspections = run_on(store_url, after)

    assert any(b"script-sent" in data for data in outputs.values())
    assert search(outputs, clear) == []
    assert {install.host: install.tokens for install in installs} == {"cp1": TOKENS, "worker1": Tokens()}
    assert [(each.token, each.wipe.token if each.wipe else None) for each in inspections] == [
        ("", None),
        ("6a" * 16, "6a" * 16),
    ]


def test_a_crash_between_migration_and_erasure_is_made_up_at_the_next_start(
    store_url: str, monkeypatch: pytest.MonkeyPatch
):
    clear = clear_17(store_url)

    async def nothing(_database: Database) -> dict[str, bytes]:
        return await asyncio.to_thread(bytes_of, store_url)

    with monkeypatch.context() as crash:
        crash.setattr(Database, "_erase_remains", lambda _self: asyncio.sleep(0))
        before = run_on(store_url, nothing)
    after = run_on(store_url, nothing)

    assert search(before, clear) != []
    assert search(after, clear) == []


def test_a_store_of_version_17_is_not_migrated_without_a_usable_key(store_url: str, tmp_path: Path):
    clear = clear_17(store_url)
    key_file = tmp_path / "readable.key"
    key_file.write_bytes(bytes(32))
    key_file.chmod(0o644)

    with pytest.raises(StoreError, match=r"other users may read or write .*; chmod 600"):
        run_on(store_url, read, key_file=key_file)

    assert {finding.secret for finding in search(bytes_of(store_url), clear)} == {secret.name for secret in clear}
    key_file.chmod(0o600)
    assert run_on(store_url, read, key_file=key_file)["accepted"] == [
        ("/etc/netboot/hosts.yaml", "hosts: {} # planted-in-hosts")
    ]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "store.key"


def test_without_its_key_a_store_opens_and_keeps_what_is_sealed(store_url: str, key_file: Path):
    run_on(store_url, fill)
    key_file.rename(key_file.with_name("kept"))

    assert run_on(store_url, read) == UNOPENED
    assert not key_file.exists()
    key_file.with_name("kept").rename(key_file)
    assert run_on(store_url, read) == STORED


def test_with_another_key_nothing_opens_and_the_right_one_opens_all(store_url: str, key_file: Path):
    run_on(store_url, fill)
    kept = key_file.read_bytes()
    key_file.write_bytes(bytes(32))

    assert run_on(store_url, read) == UNOPENED
    key_file.write_bytes(kept)
    assert run_on(store_url, read) == STORED


def test_without_the_key_an_arming_can_be_cancelled_and_its_tokens_open_again_with_it(store_url: str, key_file: Path):
    run_on(store_url, fill)
    kept = key_file.read_bytes()
    key_file.unlink()

    async def cancelled(database: Database) -> None:
        await Installs(database).change(CP1, Install.cancelled, at=AT, what="cancelled")

    run_on(store_url, cancelled)
    write_key(key_file, kept)

    assert run_on(store_url, read)["installs"] == [replace(LOADING, arming=None, version=2)]


def test_without_the_key_no_token_is_drawn_and_none_opens_a_document(store_url: str, key_file: Path):
    run_on(store_url, fill)
    key_file.unlink()

    async def attempted(database: Database) -> list[str]:
        installs, faults = Installs(database), []
        other = replace(TOKENS, report="9" * 32)
        for attempt in (
            installs.change(CP1, lambda install: replace(install, tokens=other), at=AT, what="script-sent"),
            installs.by_token(TokenKind.KICKSTART, TOKENS.kickstart),
            Inspections(database).by_token(INSPECTION.token),
            AccountStore(database).keep_user(ALICE, ends_sessions=False),
        ):
            try:
                await attempt
            except StoreError as error:
                faults.append(str(error))
        assert await installs.by_token(TokenKind.KICKSTART, "0" * 32) is None
        return faults

    faults = run_on(store_url, attempted)

    assert len(faults) == 4
    assert all(fault.startswith(NO_KEY) for fault in faults)


def test_a_new_arming_without_the_key_ends_the_tokens_of_the_boot_before(store_url: str, key_file: Path):
    run_on(store_url, fill)
    kept = key_file.read_bytes()
    key_file.unlink()

    async def armed(database: Database) -> None:
        again = replace(LOADING, arming=None).armed(at=AT, reason="again", attempts=3)
        await Installs(database).change(CP1, lambda now: replace(again, version=now.version), at=AT, what="armed")

    run_on(store_url, armed)
    write_key(key_file, kept)

    async def found(database: Database) -> Install | None:
        return await Installs(database).by_token(TokenKind.KICKSTART, TOKENS.kickstart)

    assert run_on(store_url, found) is None


def test_tokens_that_were_copied_to_another_row_open_nothing(store_url: str):
    """Whoever can write the database cannot give a machine the tokens of another host."""
    run_on(store_url, fill)
    execute(
        store_url,
        "INSERT INTO installs (host, state, version) VALUES ('w1', 'loading', 1)",
        "UPDATE installs SET tokens = (SELECT tokens FROM installs WHERE host = 'cp1') WHERE host = 'w1'",
        f"UPDATE installs SET {', '.join(f'{kind}_sha256 = NULL' for kind in TokenKind)} WHERE host = 'cp1'",
    )

    async def found(database: Database) -> tuple[list[Tokens], str | None]:
        tokens = [install.tokens for install in await Installs(database).all() if install.host == W1]
        return tokens, database.sealing.problem()

    tokens, problem = run_on(store_url, found)

    assert tokens == [Tokens(are_unopened=True)]
    assert str(problem).startswith("1 values of the store are not what netboot sealed")


def test_two_openings_of_a_new_store_at_once_have_one_key(store_url: str):
    async def both() -> tuple[str, ...]:
        databases = await asyncio.gather(*(Database.open(store_url) for _ in range(4)))
        for database in databases:
            await database.close()
        return tuple(database.sealing.key_digest for database in databases)

    digests = asyncio.run(both())

    assert len(set(digests)) == 1
    assert digests[0]


def test_a_second_appliance_with_another_key_is_refused_its_key(tmp_path: Path, postgresql_server: postgresql.Server):
    url = postgresql_server.new_database()

    async def fault(database: Database) -> str | None:
        return database.sealing.problem()

    assert run_on(url, fault, key_file=tmp_path / "first.key") is None
    second = tmp_path / "second.key"
    write_key(second, bytes(32))
    assert str(run_on(url, fault, key_file=second)).startswith(
        f"store.key_file: {second} has the key {StoreKey(bytes(32)).digest}, not the store's; put the key "
    )

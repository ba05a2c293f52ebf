"""The key of a store is changed: everything opens with the new one, and nothing of the old one is left."""

import asyncio
import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.sealed_store import ALICE, INSPECTION, LOADING, STORED, WIPE, bytes_of, fill, read, run_on
from postgresql import Server

from netboot.errors import StoreError
from netboot.model.install.token import Tokens
from netboot.store.locks import exclusive
from netboot.store.locks.advisory_lock import AdvisoryLock
from netboot.store.locks.exclusive import held_alone, lock_of_store
from netboot.store.rekeying.rekeying import KeyChange, rekey
from netboot.store.sealing.key_file import next_key_file, write_key
from netboot.store.sealing.sealing import StoreKey


def changed(url: str, key_file: Path, *, discards: bool = False, new_key: Path | None = None) -> KeyChange:
    return asyncio.run(rekey(url, key_file, owner="a test", discards=discards, new_key=new_key))


def test_everything_opens_with_the_new_key_and_no_value_of_the_old_one_is_left(store_url: str, tmp_path: Path):
    key_file = tmp_path / "store.key"
    run_on(store_url, fill, key_file=key_file)
    before = StoreKey(key_file.read_bytes())

    change = changed(store_url, key_file)

    now = StoreKey(key_file.read_bytes())
    assert change == KeyChange(key_file, now.digest, before.digest, 0)
    assert now != before
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert not next_key_file(key_file).exists()
    assert run_on(store_url, read, key_file=key_file) == STORED
    assert [place for place, data in bytes_of(store_url).items() if f"s1.{before.digest}".encode() in data] == []


def test_a_key_of_the_operator_is_left_where_it_is(store_url: str, tmp_path: Path):
    key_file, new_key = tmp_path / "store.key", tmp_path / "new"
    run_on(store_url, fill, key_file=key_file)
    kept = key_file.read_bytes()
    write_key(new_key, bytes(32))

    change = changed(store_url, key_file, new_key=new_key)

    assert (change.key_file, change.digest) == (new_key, StoreKey(bytes(32)).digest)
    assert (key_file.read_bytes(), new_key.read_bytes()) == (kept, bytes(32))
    assert run_on(store_url, read, key_file=new_key) == STORED


@pytest.mark.parametrize(
    ("size", "mode", "what"),
    [
        (32, 0o644, "other users may read or write {} (mode 0644), so nothing is sealed with it"),
        (31, 0o600, "{} has 31 bytes, and a key has 32"),
        (None, 0, "there is no {}"),
    ],
)
def test_a_key_of_the_operator_that_cannot_be_used_names_its_option(
    sqlite_url: str, tmp_path: Path, size: int | None, mode: int, what: str
):
    key_file, new_key = tmp_path / "store.key", tmp_path / "new"
    run_on(sqlite_url, fill, key_file=key_file)
    if size is not None:
        new_key.write_bytes(bytes(size))
        new_key.chmod(mode)

    with pytest.raises(StoreError) as refused:
        changed(sqlite_url, key_file, new_key=new_key)

    cure = "a key has 32 random bytes and mode 0600: umask 077; head -c 32 /dev/urandom > NEW-FILE"
    assert str(refused.value) == f"--new-key: {what.format(new_key)}; {cure}"
    assert run_on(sqlite_url, read, key_file=key_file) == STORED


def test_a_lost_key_is_refused_until_what_it_sealed_is_discarded(store_url: str, tmp_path: Path):
    key_file = tmp_path / "store.key"
    run_on(store_url, fill, key_file=key_file)
    key_file.unlink()

    with pytest.raises(StoreError, match=r"there is no .*store.key; the key .* sealed the store"):
        changed(store_url, key_file)
    change = changed(store_url, key_file, discards=True)

    assert (change.digest_before, change.discarded_count) == ("", 6)
    assert run_on(store_url, read, key_file=key_file) == {
        "installs": [replace(LOADING, tokens=Tokens())],
        "inspections": [replace(INSPECTION, token="", wipe=replace(WIPE, token=""))],
        "accepted": [],
        "served": [],
        "users": [replace(ALICE, password_hash="")],
    }


def test_after_a_crash_before_the_commit_the_old_key_opens_and_the_change_can_be_repeated(
    store_url: str, tmp_path: Path
):
    key_file = tmp_path / "store.key"
    run_on(store_url, fill, key_file=key_file)
    write_key(next_key_file(key_file), bytes(32))  # of the change that was not committed

    assert run_on(store_url, read, key_file=key_file) == STORED
    changed(store_url, key_file)
    assert run_on(store_url, read, key_file=key_file) == STORED


def test_after_a_crash_behind_the_commit_the_next_start_finishes_the_change(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    key_file = tmp_path / "store.key"
    run_on(store_url, fill, key_file=key_file)

    def crash(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        crashing.setattr("netboot.store.rekeying.rekeying._put_in_place", crash)
        with pytest.raises(KeyboardInterrupt):
            changed(store_url, key_file)
    assert next_key_file(key_file).exists()

    assert run_on(store_url, read, key_file=key_file) == STORED
    assert not next_key_file(key_file).exists()


def test_while_a_daemon_uses_the_store_its_key_is_not_changed(store_url: str, tmp_path: Path):
    key_file = tmp_path / "store.key"
    run_on(store_url, fill, key_file=key_file)
    kept = key_file.read_bytes()

    async def scenario() -> None:
        lock = lock_of_store(store_url)
        assert lock is not None
        async with held_alone(lock, owner="the daemon", what="the store"):
            with pytest.raises(StoreError, match=r"^cannot change the key: .+ works on the store; stop netboot on "):
                await rekey(store_url, key_file, owner="a test", discards=False, new_key=None)

    asyncio.run(scenario())

    assert key_file.read_bytes() == kept
    assert run_on(store_url, read, key_file=key_file) == STORED


@pytest.mark.integration
def test_a_daemon_that_shares_the_store_with_others_is_named(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    postgresql_url = postgresql_server.new_database()
    monkeypatch.setattr(exclusive, "COMMAND_S", 0.0)

    async def scenario() -> None:
        lock = AdvisoryLock(postgresql_url)
        assert await lock.take(owner=None)
        daemon, noted = f"netboot on {socket.gethostname()[:40]}, pid {os.getpid()}", []
        key_file = tmp_path / "store.key"
        with pytest.raises(StoreError, match=rf"^cannot change the key: {re.escape(daemon)} works on the store; stop "):
            await rekey(postgresql_url, key_file, owner="a test", discards=False, new_key=None, note=noted.append)
        await lock.release()
        assert noted == [
            f"waiting up to 30 s for {daemon}, which works on the store; "
            "stop netboot on every appliance of the store: systemctl stop netboot"
        ]

    asyncio.run(scenario())


def test_a_credential_is_not_replaced(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    with pytest.raises(StoreError, match=r"which is a credential; make a new key, and name it: --new-key FILE$"):
        changed(store_url, tmp_path / "store-key")

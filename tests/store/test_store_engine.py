"""The password of the store comes from a file, at each connection; PostgreSQL itself verifies it."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from postgresql import Server

from netboot.errors import StoreError
from netboot.store.database import Database
from netboot.store.locks.advisory_lock import AdvisoryLock

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("key_of_the_test")]

USER = "with_password"


@pytest.fixture(scope="module")
def verified_user(postgresql_server: Server) -> Callable[[str], None]:
    """Make a user whose password the server verifies; the value sets it."""
    rules = postgresql_server.directory / "data" / "pg_hba.conf"
    rules.write_text(f"local all {USER} scram-sha-256\n{rules.read_text()}")

    async def execute(*statements: str) -> None:
        superuser = await asyncpg.connect(host=str(postgresql_server.directory), user="postgres", database="postgres")
        try:
            for statement in statements:
                await superuser.execute(statement)
        finally:
            await superuser.close()

    asyncio.run(execute("SELECT pg_reload_conf()", f"CREATE ROLE {USER} SUPERUSER LOGIN"))
    return lambda password: asyncio.run(execute(f"ALTER ROLE {USER} PASSWORD '{password}'"))


def url_of(server: Server, file: Path) -> str:
    return f"{server.new_database().replace('postgres@', f'{USER}@')}&password_file={quote(str(file))}"


async def pinged(url: str) -> None:
    database = await Database.open(url)
    try:
        await database.ping()
    finally:
        await database.close()


def failure(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        asyncio.run(pinged(url))
    return str(caught.value)


def test_a_changed_password_is_read_at_the_next_connection(verified_user, postgresql_server, tmp_path):
    file = tmp_path / "a & b"
    url = url_of(postgresql_server, file)
    verified_user("first word")
    file.write_text("first word\n")
    asyncio.run(pinged(url))

    verified_user("second")
    refused = failure(url)
    file.write_text("second")
    asyncio.run(pinged(url))

    assert refused == (
        f'the store failed: password authentication failed for user "{USER}"; '
        "correct user and password in store.url and store.password_file, or pg_hba.conf of the server"
    )


def test_the_lock_of_the_store_uses_it_too(verified_user, postgresql_server, tmp_path):
    (tmp_path / "pw").write_text("third\n")
    verified_user("third")

    async def taken() -> bool:
        lock = AdvisoryLock(url_of(postgresql_server, tmp_path / "pw"))
        try:
            return await lock.take(owner="the daemon")
        finally:
            await lock.release()

    assert asyncio.run(taken())


def test_a_missing_file_and_a_missing_credential_have_their_cures(
    verified_user, postgresql_server, tmp_path, monkeypatch
):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / "credentials").mkdir()
    of_unit = tmp_path / "credentials" / "store-password"

    assert failure(url_of(postgresql_server, tmp_path / "pw")) == (
        f"cannot read the password of the store, {tmp_path / 'pw'}: No such file or directory; "
        "correct store.password_file; the daemon's user must be able to read it"
    )
    assert failure(url_of(postgresql_server, of_unit)) == (
        f"cannot read the password of the store, {of_unit}: No such file or directory; "
        "the unit has no such credential: systemctl edit netboot, add [Service] "
        "LoadCredential=store-password:/etc/netboot/credentials/store-password, and restart it"
    )


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe"])
def test_a_file_without_one_password_is_refused_and_not_shown(
    verified_user, postgresql_server, tmp_path, content: bytes
):
    (tmp_path / "pw").write_bytes(content)

    assert failure(url_of(postgresql_server, tmp_path / "pw")) == (
        f"{tmp_path / 'pw'} has no password in its only line; write it there: store.password_file"
    )


def test_the_password_is_neither_in_the_environment_nor_in_the_url(verified_user, postgresql_server, tmp_path):
    (tmp_path / "pw").write_text("fourth-unseen\n")
    url = url_of(postgresql_server, tmp_path / "pw")
    verified_user("fourth-unseen")
    asyncio.run(pinged(url))

    assert "fourth-unseen" not in url
    assert "fourth-unseen" not in " ".join(os.environ.values())

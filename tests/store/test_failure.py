"""The error of a store that fails contains the cure, for the log and for the operator."""

import asyncio
import errno
import os
import sqlite3
import subprocess
from pathlib import Path
from ssl import SSLCertVerificationError

import pytest
from fixtures.no_descriptor import no_descriptor_left
from reliability.faults import a_disk, full
from sqlalchemy import make_url

from netboot.errors import StoreError
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.backup.whole_store import rewriting, snapshot
from netboot.store.database import Database
from netboot.store.failure import NoServerError, cannot_open, disk_fault, store_failed
from netboot.store.locks.advisory_lock import AdvisoryLock

NO_DESCRIPTOR = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def refused(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        asyncio.run(Database.open(url))
    return str(caught.value)


def test_a_file_that_is_no_database_is_restored(sqlite_url: str, tmp_path: Path):
    (tmp_path / "netboot.db").write_bytes(b"damaged " * 1000)

    assert refused(sqlite_url) == ("the store failed: file is not a database; restore a backup, or correct store.url")


def test_a_store_that_no_descriptor_is_left_for_names_the_descriptors(tmp_path: Path):
    file, unreached = tmp_path / "netboot.db", NoServerError("db:5432", NO_DESCRIPTOR)
    unreached.__cause__ = NO_DESCRIPTOR
    sqlite3.connect(file).close()
    with no_descriptor_left(), pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(file)
    with no_descriptor_left():
        (without, server) = (str(store_failed(each)) for each in (caught.value, unreached))
    cure = "set LimitNOFILE=65536 in the unit of netboot, or find who holds many connections: ss -tn"

    assert without == f"the store failed: unable to open database file; {cure}"
    assert server == f"the store failed: cannot connect to db:5432: Too many open files; {cure}"
    assert str(store_failed(caught.value)).endswith("; run with sudo, or join group netboot")
    assert str(cannot_open("the lock", file, NO_DESCRIPTOR)).endswith(f"Too many open files; {cure}")


def test_a_full_disk_needs_space(sqlite_url: str):
    async def scenario() -> str:
        database = await Database.open(sqlite_url)
        try:
            async with database.reading() as connection:  # the only connection of the pool that is open
                await connection.exec_driver_sql("PRAGMA max_page_count=1")
            with pytest.raises(StoreError) as caught:
                await AcceptedFiles(database).keep([("hosts.yaml", "x" * 1_000_000)])
        finally:
            await database.close()
        return str(caught.value)

    assert asyncio.run(scenario()) == ("the store failed: database or disk is full; free some space on its file system")


@pytest.mark.integration
def test_a_database_server_that_does_not_run_is_started():
    assert refused("postgresql+asyncpg://netboot@127.0.0.1:1/netboot") == (
        "the store failed: cannot connect to 127.0.0.1:1: Connection refused; "
        "start the database server, or correct server and port in store.url"
    )


@pytest.mark.integration
def test_a_server_whose_name_is_unknown_is_named_otherwise():
    found = refused("postgresql+asyncpg://netboot@no-such-server.invalid/netboot")

    assert found.startswith("the store failed: cannot connect to no-such-server.invalid:5432: ")
    assert found.endswith("; correct the server's name in store.url")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("place", "tried"),
    [
        ("?host={directory}", "the socket {directory}/.s.PGSQL.5432: No such file or directory"),
        ("?host={directory}&port=5433", "the socket {directory}/.s.PGSQL.5433: No such file or directory"),
    ],
)
def test_a_socket_that_does_not_exist_is_named_with_its_cure(tmp_path: Path, place: str, tried: str):
    assert refused("postgresql+asyncpg:///netboot" + place.format(directory=tmp_path)) == (
        f"the store failed: cannot connect to {tried.format(directory=tmp_path)}; "
        "start the database server, or correct the directory of its socket in store.url"
    )


@pytest.mark.integration
def test_a_command_without_a_database_server_names_what_it_tried(tmp_path: Path):
    url = f"postgresql+asyncpg:///netboot?host={tmp_path}"

    async def lock() -> None:
        await AdvisoryLock(url).take(owner=None)

    async def restored() -> None:
        async with rewriting(url):
            pass

    async def read() -> None:
        async with snapshot(url):
            pass

    for use in (lock, restored, read):
        with pytest.raises(StoreError, match=f"cannot connect to the socket {tmp_path}/.s.PGSQL.5432: No such file"):
            asyncio.run(use())


@pytest.mark.integration
def test_each_of_several_servers_that_were_tried_is_named():
    several = refused("postgresql+asyncpg://netboot@/netboot?host=127.0.0.1:1&host=127.0.0.1:2")

    assert several.startswith("the store failed: cannot connect to 127.0.0.1:1, 127.0.0.1:2: Connection refused; ")
    assert refused("postgresql+asyncpg://netboot@[::1]:1/netboot").startswith(
        "the store failed: cannot connect to [::1]:1: "
    )


@pytest.mark.integration
@pytest.mark.parametrize("place", ["127.0.0.1:1/netboot?", "/netboot?", "/netboot?host={directory}&"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("no certificate", "[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found (_ssl.c:"),
    ],
)
def test_a_file_of_tls_is_not_taken_for_a_server_or_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, content: str | None, reason: str
):
    roots = tmp_path / "roots.pem"
    if content is not None:
        roots.write_text(content)
    monkeypatch.setenv("PGSSLROOTCERT", str(roots))

    found = refused(f"postgresql+asyncpg://netboot@{place.format(directory=tmp_path)}ssl=verify-full")

    assert found.startswith(f"the store failed: cannot read the TLS files of the connection: {reason}")
    assert found.endswith("; correct the TLS files that PGSSLROOTCERT, PGSSLCERT, PGSSLKEY and PGSSLCRL name")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("ports", "hosts", "reason"),
    [
        ("1,2", "127.0.0.1,127.0.0.1,127.0.0.1", "could not match 2 port numbers to 3 hosts"),
        ("1,2", "", "could not match 2 port numbers to 1 hosts"),
        ("one", "", "invalid literal for int() with base 10: 'one'"),
    ],
)
def test_ports_that_the_environment_has_and_that_fit_no_servers_are_corrected_there(
    monkeypatch: pytest.MonkeyPatch, ports: str, hosts: str, reason: str
):
    monkeypatch.setenv("PGPORT", ports)
    if hosts:
        monkeypatch.setenv("PGHOST", hosts)

    found = refused(f"postgresql+asyncpg://netboot@{'' if hosts else '127.0.0.1'}/netboot")

    assert found == (
        f"the store failed: {reason}; correct store.url, or the environment variables that fill it: PGHOST, PGPORT, "
        "PGSSLMODE, PGSSLROOTCERT"
    )


@pytest.mark.integration
def test_a_server_that_the_environment_may_name_is_named_as_such(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")

    assert refused("postgresql+asyncpg://netboot@/netboot").startswith(
        "the store failed: cannot connect to the server that PGHOST names, or one of this computer, since store.url "
        "names none: "
    )


@pytest.mark.integration
def test_a_socket_that_the_environment_names_is_not_taken_for_a_file_of_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGHOST", str(tmp_path))

    found = refused("postgresql+asyncpg://netboot@/netboot")

    assert "store.url names none: No such file or directory; " in found
    assert found.endswith("; start the database server, or correct the directory of its socket in store.url")


@pytest.mark.integration
def test_the_port_of_the_environment_is_named_if_the_url_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPORT", "1")

    for place, tried in (
        ("127.0.0.1/netboot", "127.0.0.1:1: Connection refused"),
        ("127.0.0.1:2/netboot", "127.0.0.1:2: Connection refused"),
        (f"/netboot?host={tmp_path}", f"the socket {tmp_path}/.s.PGSQL.1: No such file or directory"),
    ):
        found = refused(f"postgresql+asyncpg://netboot@{place}")
        assert found.startswith(f"the store failed: cannot connect to {tried}; ")


def test_a_socket_that_may_not_be_opened_needs_rights_and_an_unknown_error_the_log():
    hidden = NoServerError("the socket /s", PermissionError(errno.EACCES, "Permission denied"), has_socket=True)
    hidden.__cause__ = PermissionError(errno.EACCES, "Permission denied")

    assert str(store_failed(hidden)) == (
        "the store failed: cannot connect to the socket /s: Permission denied; "
        "let the user of this program open the socket: the rights of its directory"
    )
    assert str(store_failed(ValueError())) == (
        "the store failed: ValueError; see store.url, and the log of its database"
    )


def test_the_disk_of_a_store_is_found_full_before_a_write_fails(tmp_path: Path):
    async def scenario(disk: Path) -> list[str | None]:
        database = await Database.open(f"sqlite+aiosqlite:///{disk}/netboot.db")
        try:
            found = [await database.disk_fault()]
            with full(disk, left_bytes=32 << 10):
                found.append(await database.disk_fault())
            return [*found, await database.disk_fault()]
        finally:
            await database.close()

    with a_disk(tmp_path / "disk", megabytes=8) as disk:
        found = asyncio.run(scenario(disk))

    fault = "the store cannot be written: No space left on device; free some space on its file system"
    assert found == [None, fault, None]


def test_the_disk_of_a_store_is_found_read_only(tmp_path: Path):
    with a_disk(tmp_path / "disk", megabytes=1) as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True, timeout=10)

        assert disk_fault(disk / "netboot.db") == (
            "the store cannot be written: Read-only file system; "
            "mount its file system writable, or add its directory to ReadWritePaths= of the unit"
        )


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_store_without_a_file_has_no_disk_to_examine(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def found(url: str) -> str | None:
        database = Database.connect(url)
        try:
            return await database.disk_fault()
        finally:
            await database.close()

    with a_disk(tmp_path / "disk", megabytes=1) as disk, full(disk), monkeypatch.context() as patch:
        patch.chdir(disk)  # the directory of a file that the name of a database would be
        assert asyncio.run(found(store_url)) is None
        assert asyncio.run(found("sqlite+aiosqlite:///:memory:")) is None


def test_an_error_of_tls_and_a_server_that_does_not_answer_are_shown_as_they_are():
    tls = SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired")

    untrusted = NoServerError("db:5432", tls)
    untrusted.__cause__ = tls
    assert str(store_failed(untrusted)) == (
        "the store failed: cannot connect to db:5432: [SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired; "
        "let PGSSLROOTCERT name the CA of the server's certificate, and store.url the server as that does"
    )
    assert str(NoServerError("db:5432", TimeoutError())) == "cannot connect to db:5432: it does not answer"
    no_key = FileNotFoundError(errno.ENOENT, "No such file or directory", "/root/k")
    assert str(NoServerError("db:5432", no_key)) == "cannot connect to db:5432: No such file or directory /root/k"


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_missing_database_is_made(store_url: str):
    name = make_url(store_url).database

    assert refused(store_url.replace(f"/{name}?", "/nosuch?")) == (
        'the store failed: database "nosuch" does not exist; correct the database in store.url, or make it: createdb'
    )


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.EACCES, "run with sudo, or join group netboot"),
        (errno.ENOSPC, "free some space on its file system"),
        (errno.EROFS, "mount its file system writable, or add its directory to ReadWritePaths= of the unit"),
        (errno.ENOTDIR, "correct store.url or admin.socket"),
    ],
)
def test_a_file_that_cannot_be_opened_is_named_with_its_cure(code: int, cure: str):
    error = cannot_open("the store", Path("/s/netboot.db"), OSError(code, os.strerror(code)))

    assert str(error) == f"cannot open the store /s/netboot.db: {os.strerror(code)}; {cure}"

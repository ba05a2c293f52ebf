"""The engine of SQLAlchemy for the URL of a store, which may name the file with the password of its user."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from ssl import SSLError
from traceback import walk_tb
from typing import Any, Final

from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_only

from netboot.errors import StoreError
from netboot.model.access import secret_file
from netboot.model.words import first_line
from netboot.store.engine.connection_pace import ConnectionPace
from netboot.store.failure import TOO_MANY_SESSIONS, NoServerError, TlsFilesError, full_of_sessions, misconfigured

_LARGEST_BYTES: Final = 4096
_PORT: Final = "5432"  # of asyncpg, if neither the URL nor PGPORT has one


def engine_of(url: str | URL, **options: Any) -> AsyncEngine:
    """Make the engine; it reads the password at each connection, so that a new one needs no restart.

    Exceptions show no parameters, which may be secrets. Raises as `create_async_engine`, and ValueError. A connection
    raises StoreError if the password cannot be read or the driver does not accept the URL, NoServerError if there is
    no server, TlsFilesError if a file of TLS cannot be read.
    """
    parsed = make_url(url)
    written = parsed.query.get(secret_file.URL_PARAMETER)
    parsed = parsed.difference_update_query([secret_file.URL_PARAMETER])
    engine = create_async_engine(parsed, hide_parameters=True, **options)
    if written is not None:
        path = Path(written if isinstance(written, str) else written[-1])

        def add_password(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
            parameters["password"] = _password(path)

        event.listen(engine.sync_engine, "do_connect", add_password)
    if parsed.get_backend_name() != "sqlite":
        _open_at_a_pace(engine.sync_engine)
    return engine


def _open_at_a_pace(engine: Engine) -> None:
    """Let the engine connect by `_connect`, seldom while its server hangs; to be called after other listeners."""
    pace = ConnectionPace()

    def connect(dialect: Any, _record: object, arguments: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
        await_only(pace.wait_for_turn())
        with pace.opening():
            return _connect(dialect, arguments, parameters, pace)

    def note_opened(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["opened_s"] = asyncio.get_running_loop().time()

    def note_answered(connection: object | None, record: ConnectionPoolEntry) -> None:
        if connection is not None and "opened_s" in record.info:
            pace.note_answered(record.info["opened_s"])

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", note_opened)
    event.listen(engine, "checkin", note_answered)


def _connect(dialect: Any, arguments: Sequence[Any], parameters: Mapping[str, Any], pace: ConnectionPace) -> Any:
    """Connect to a server; its driver's error does not name it: raise NoServerError, which does."""
    from netboot.store.engine.bounded_connection import BoundedConnection

    try:
        connection = dialect.connect(*arguments, **parameters, connection_class=BoundedConnection)
    except OSError as error:  # a certificate that is not trusted is one, and a ValueError
        if _is_of_file(error):
            reason = error.strerror or first_line(str(error))
            raise TlsFilesError(f"cannot read the TLS files of the connection: {reason}") from error
        hosts, ports = (_listed(parameters.get(name)) for name in ("host", "port"))
        has_socket = not hosts or any(each.startswith("/") for each in hosts)
        raise NoServerError(_server(hosts, ports), error, has_socket=has_socket) from error
    except (ValueError, dialect.loaded_dbapi.Error) as error:
        cause = error if isinstance(error, ValueError) else error.__cause__
        if isinstance(cause, ValueError):
            raise misconfigured(cause) from error
        if pace.is_hanging and getattr(error, "sqlstate", None) == TOO_MANY_SESSIONS:
            raise full_of_sessions(error) from error
        raise
    connection.driver_connection.on_given_up = pace.note_given_up
    return connection


def _is_of_file(error: OSError) -> bool:
    """Return whether a driver failed to read a file, before asyncio connects or shakes hands; neither is named."""
    if not isinstance(error, FileNotFoundError | PermissionError | SSLError) or error.filename is not None:
        return False
    frames = [frame.f_globals.get("__name__", "") for frame, _line in walk_tb(error.__traceback__)]
    return bool(frames) and not any(name.startswith("asyncio.") for name in frames)


def _server(hosts: list[str], ports: list[int | str]) -> str:
    """Name the servers that a driver tries: sockets of this computer, or address and port."""
    if not hosts:
        return "the server that PGHOST names, or one of this computer, since store.url names none"
    each_port = ports if len(ports) == len(hosts) else (ports or [os.environ.get("PGPORT") or _PORT]) * len(hosts)
    return ", ".join(_place(host, port) for host, port in zip(hosts, each_port, strict=False))


def _place(host: str, port: int | str) -> str:
    if host.startswith("/"):
        return f"the socket {host}/.s.PGSQL.{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _password(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES)
    except OSError as error:
        cure = secret_file.cure_of(path) or "correct store.password_file; the daemon's user must be able to read it"
        raise StoreError(f"cannot read the password of the store, {path}: {error.strerror}; {cure}") from error
    try:
        password = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        password = ""
    if not password or "\n" in password:
        raise StoreError(f"{path} has no password in its only line; write it there: store.password_file")
    return password

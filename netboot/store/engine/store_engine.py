"""The engine of SQLAlchemy for the URL of a store, which may name the file with the password of its user."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from ssl import SSLError
from typing import Any, Final

from sqlalchemy import URL, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from netboot.errors import StoreError
from netboot.model.access import secret_file
from netboot.model.words import first_line
from netboot.store.failure import NoServerError, TlsFilesError, misconfigured

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
        event.listen(engine.sync_engine, "do_connect", _connect)  # the last one: it connects
    return engine


def _connect(dialect: Any, _record: object, arguments: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """Connect to a server; its driver's error does not name it: raise NoServerError, which does."""
    from netboot.store.engine.bounded_connection import BoundedConnection

    try:
        return dialect.connect(*arguments, **parameters, connection_class=BoundedConnection)
    except (ValueError, dialect.loaded_dbapi.Error) as error:
        cause = error if isinstance(error, ValueError) else error.__cause__
        if isinstance(cause, ValueError):
            raise misconfigured(cause) from error
        raise
    except OSError as error:
        if _is_of_file(error):
            reason = error.strerror or first_line(str(error))
            raise TlsFilesError(f"cannot read the TLS files of the connection: {reason}") from error
        hosts, ports = (_listed(parameters.get(name)) for name in ("host", "port"))
        has_socket = not hosts or any(each.startswith("/") for each in hosts)
        raise NoServerError(_server(hosts, ports), error, has_socket=has_socket) from error


def _is_of_file(error: OSError) -> bool:
    """Return whether a driver failed to read a file, and not to connect, which asyncio does; neither is named."""
    if not isinstance(error, FileNotFoundError | PermissionError | SSLError) or error.filename is not None:
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and not str(last.tb_frame.f_globals.get("__name__")).startswith("asyncio.")


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

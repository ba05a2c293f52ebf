"""The errors of a store, each with its cure. Loads no SQLAlchemy, which takes half a second."""

import errno
import os
from pathlib import Path
from socket import gaierror
from ssl import SSLCertVerificationError, SSLError
from typing import Final

from netboot.errors import MORE_DESCRIPTORS, NO_RIGHT, StoreError, lacks_descriptor
from netboot.model.words import first_line

NEWEST_VERSION: Final = 19  # the number of `migrations.MIGRATIONS`

_DISK_FULL: Final = "free some space on its file system"
_READ_ONLY: Final = "mount its file system writable, or add its directory to ReadWritePaths= of the unit"
_NO_ANSWER: Final = "check that it runs, the load of its disk, and the network to it"
_DAMAGED: Final = "restore a backup, or correct store.url"

TOO_MANY_SESSIONS: Final = "53300"
# The beginning of an error's name in SQLite (https://sqlite.org/rescode.html, with the extended codes), or of a
# SQLSTATE (PostgreSQL, appendix A).
_CURES: Final = {
    "SQLITE_BUSY": "another program keeps it locked: fuser names it",
    "SQLITE_CANTOPEN": NO_RIGHT,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_FULL": _DISK_FULL,
    "SQLITE_IOERR": "check its disk: dmesg",
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_READONLY": _READ_ONLY,
    "28": "correct user and password in store.url and store.password_file, or pg_hba.conf of the server",
    "3D000": "correct the database in store.url, or make it: createdb",
    "25006": "let store.url name the primary server",
    "42501": "let the user in store.url own the database",
    "53100": "free some space on the database server",
    TOO_MANY_SESSIONS: "raise max_connections of the server",
    "57P": "start the database server",
}
DISK_CURES: Final = {errno.ENOSPC: _DISK_FULL, errno.EDQUOT: _DISK_FULL, errno.EROFS: _READ_ONLY}
_LEAST_BYTES: Final = 64 << 10  # of some pages of the write-ahead log
_FILE_CURES: Final = {**DISK_CURES, errno.EACCES: NO_RIGHT, errno.EPERM: NO_RIGHT}


class TlsFilesError(OSError):
    """A file of TLS for a connection to a database server cannot be read, or is none; ssl does not name it."""


class NoServerError(OSError):
    """A connection to a database server failed with an error of the system, which is its cause."""

    def __init__(self, server: str, error: OSError, *, has_socket: bool = False) -> None:
        self.has_socket = has_socket  # a socket of this computer may have been tried
        code = None if isinstance(error, gaierror | SSLError) else error.errno  # these have numbers of their own
        # asyncio's text of an error has the address again, and no reason
        reason = os.strerror(code) if code else error.strerror or first_line(str(error))
        file = f" {error.filename}" if error.filename else ""
        super().__init__(f"cannot connect to {server}: {reason or 'it does not answer'}{file}")


def store_failed(error: BaseException) -> StoreError:
    """Return the error for an exception of SQLAlchemy, of a driver or of a connection."""
    if isinstance(error, TimeoutError) and not str(error):  # of asyncio, which cancelled what did not end in time
        return StoreError(f"the store failed: its database server did not answer in time; {_NO_ANSWER}")
    cause = error if isinstance(error, TlsFilesError) else error.__cause__ or error
    shown = error if isinstance(error, NoServerError) else cause
    cure = _cure(cause, has_socket=isinstance(error, NoServerError) and error.has_socket)
    return StoreError(f"the store failed: {first_line(str(shown)) or type(shown).__name__}; {cure}")


def full_of_sessions(error: Exception) -> StoreError:
    """Return the error for a server that has no session left, while it has not ended those that were given up."""
    return StoreError(
        f"the store failed: {first_line(str(error))}; the server did not answer the sessions before, and has not ended "
        "them: check the load of its disk, or restart it"
    )


def misconfigured(error: ValueError) -> StoreError:
    """Return the error for what a driver does not accept of a URL and its environment, before it connects."""
    return StoreError(
        f"the store failed: {first_line(str(error))}; correct store.url, or the environment variables that fill it: "
        "PGHOST, PGPORT, PGSSLMODE, PGSSLROOTCERT"
    )


def disk_fault(file: Path) -> str | None:
    """Return why a SQLite file cannot be written: its disk is full or read-only; None if it may be. Blocks."""
    found = os.statvfs(file.parent)
    if found.f_flag & os.ST_RDONLY:
        code = errno.EROFS
    elif found.f_bavail * found.f_frsize < _LEAST_BYTES:
        code = errno.ENOSPC
    else:
        return None
    return f"the store cannot be written: {os.strerror(code)}; {DISK_CURES[code]}"


def cannot_open(what: str, path: Path, error: OSError) -> StoreError:
    """Return the error for a file of the store, `what`, that cannot be opened."""
    cure = MORE_DESCRIPTORS if lacks_descriptor(error) else None
    cure = cure or _FILE_CURES.get(error.errno or 0, "correct store.url or admin.socket")
    return StoreError(f"cannot open {what} {path}: {error.strerror}; {cure}")


class NewerStoreError(StoreError):
    """A newer program migrated the store."""


def newer_store(version: int) -> NewerStoreError:
    return NewerStoreError(
        f"the store has version {version}, this netboot supports up to {NEWEST_VERSION}; "
        "run the version that wrote it, or restore a backup"
    )


def _is_without_descriptor() -> bool:
    """Return whether no file can be opened now: SQLite does not report the error of the system."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return lacks_descriptor(error)
    return False


def _cure(cause: BaseException, *, has_socket: bool) -> str:
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    if lacks_descriptor(cause) or (code.startswith("SQLITE_CANTOPEN") and _is_without_descriptor()):
        return MORE_DESCRIPTORS
    for beginning, cure in _CURES.items():
        if code.startswith(beginning):
            return cure
    match cause:
        case SSLCertVerificationError():
            return "let PGSSLROOTCERT name the CA of the server's certificate, and store.url the server as that does"
        case gaierror():
            return "correct the server's name in store.url"
        case FileNotFoundError(filename=None) if has_socket:
            return "start the database server, or correct the directory of its socket in store.url"
        case PermissionError(filename=None) if has_socket:
            return "let the user of this program open the socket: the rights of its directory"
        case TlsFilesError():
            return "correct the TLS files that PGSSLROOTCERT, PGSSLCERT, PGSSLKEY and PGSSLCRL name"
        case TimeoutError() | OSError():
            return "start the database server, or correct server and port in store.url"
        case _:
            return "see store.url, and the log of its database"

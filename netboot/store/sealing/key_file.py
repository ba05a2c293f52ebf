"""Reads the key of the store from its file, and makes it for a new store.

A key is 32 random bytes. The file is made once, before the store has anything that is sealed; it is never replaced
here: what a lost key sealed is lost.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from netboot.model.access.secret_file import cure_of, is_credential
from netboot.store.sealing.sealing import KEY_BYTES, Sealing, StoreKey

_OTHERS: Final = 0o077
_ABOVE_THE_FILE: Final = 0o007  # a credential of systemd is root's, and its group's by an access control list
OF_A_SHARED_STORE: Final = Path("/var/lib/netboot/store.key")
_LOST: Final = "if it is lost: stop netboot, then netboot store rekey --discard"


class KeyFileError(Exception):
    """Why the file that `store.key_file` names cannot be used, with the cure; `what` is of any key file."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"store.key_file: {what}; {cure}")
        self.what = what


def default_key_file(url: str) -> Path:
    """Return where the key of the store at `url` is if no setting names it: beside a SQLite store."""
    scheme, _, database = url.partition(":///")
    if scheme.startswith("sqlite") and database:
        return Path(database).with_name("store.key")
    return OF_A_SHARED_STORE


def sealing_with(path: Path, *, sealed_by: str | None, may_make: bool = True) -> Sealing:
    """Read the key at `path` for a store that the key with digest `sealed_by` sealed; None: nothing is sealed yet.

    Then a file that is missing is made, if `may_make`; so is the end of a change of the key that a crash interrupted.
    Without a usable key the sealing has the fault.
    """
    try:
        key = read_key(path)
        if may_make and sealed_by is not None and (key is None or key.digest != sealed_by):
            key = _finish_change(path, sealed_by) or key
        if may_make and key is None and sealed_by is None and not is_credential(path):
            make_key(path)
            key = read_key(path)
    except KeyFileError as error:
        return Sealing(None, str(error))
    if key is None:
        cure = cure_of(path)
        if sealed_by is None:
            return Sealing(None, f"store.key_file: there is no {path}; {cure or 'restart netboot, which makes it'}")
        kept = cure or "restore the file from where it is kept, or copy it from another appliance of this store"
        needed = f"the key {sealed_by} sealed the store: {kept}, then restart netboot; {_LOST}"
        return Sealing(None, f"store.key_file: there is no {path}; {needed}")
    if sealed_by is not None and key.digest != sealed_by:
        cure = f"put the key {sealed_by} there, then restart netboot; {_LOST}"
        return Sealing(None, f"store.key_file: {path} has the key {key.digest}, not the store's; {cure}")
    return Sealing(key)


def read_key(path: Path) -> StoreKey | None:
    """Read a key; None if there is no file. Raises KeyFileError for one that cannot be used."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno()).st_mode
            data = file.read(KEY_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        cure = cure_of(path) or f"give the daemon's user the right to read it: chown netboot: {path}"
        raise KeyFileError(f"cannot read {path}: {error.strerror}", cure) from error
    if found & (_ABOVE_THE_FILE if is_credential(path) else _OTHERS):
        raise KeyFileError(
            f"other users may read or write {path} (mode {found & 0o777:04o}), so nothing is sealed with it",
            f"chmod 600 {path}, and if others had access: netboot store rekey",
        )
    if len(data) != KEY_BYTES:
        size = f"{len(data)} bytes" if len(data) < KEY_BYTES else f"more than {KEY_BYTES} bytes"
        raise KeyFileError(
            f"{path} has {size}, and a key has {KEY_BYTES}", f"restore it, or for a new store delete it; {_LOST}"
        )
    return StoreKey(data)


def next_key_file(path: Path) -> Path:
    """Return where a new key is until the store is sealed with it."""
    return path.with_name(f"{path.name}.new")


def _finish_change(path: Path, sealed_by: str) -> StoreKey | None:
    """Put the new key in place if it sealed the store already."""
    new = next_key_file(path)
    key = read_key(new)
    if key is None or key.digest != sealed_by:
        return None
    with suppress(OSError):  # the key is used all the same
        new.replace(path)
        sync_directory(path.parent)
    return key


def make_key(path: Path) -> None:
    """Make the file of a new key, for the owner of its directory alone; leave one that exists. Raises KeyFileError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_key(draft, secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):  # another process was faster
            os.link(draft, path)
    except OSError as error:
        cure = f"make it as the daemon's user: umask 077; head -c {KEY_BYTES} /dev/urandom > {path}"
        raise KeyFileError(f"cannot make {path}: {error.strerror}", cure) from error
    finally:
        with suppress(OSError):
            draft.unlink()
    sync_directory(path.parent)


def write_key(path: Path, secret: bytes) -> None:
    """Write a key to a new file that its owner alone may read: the owner of its directory. Raises OSError."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:  # a command of root must not lock out the daemon's user
            parent = path.parent.stat()
            os.fchown(descriptor, parent.st_uid, parent.st_gid)
        os.write(descriptor, secret)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Let a new name in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Changes the key of a store that no daemon uses: every sealed value is sealed with the new one, in one transaction.

The new key is in a file beside the old one until the transaction is committed; after a crash, the next start finds
which of the two sealed the store (`sealing.key_file`).
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from netboot.errors import StoreError, StoreKeyError
from netboot.model.access.secret_file import is_credential
from netboot.store.database import WHOLE_STORE_S, Database
from netboot.store.locks.exclusive import COMMAND_S, HeldError, held_alone, lock_of_store
from netboot.store.sealing.key_file import (
    KeyFileError,
    default_key_file,
    next_key_file,
    read_key,
    sync_directory,
    write_key,
)
from netboot.store.sealing.sealed_values import reseal
from netboot.store.sealing.sealing import KEY_BYTES, Sealing, StoreKey

_CURE: Final = "stop netboot on every appliance of the store: systemctl stop netboot"
_KEY_OF_THE_OPERATOR: Final = (
    f"a key has {KEY_BYTES} random bytes and mode 0600: umask 077; head -c {KEY_BYTES} /dev/urandom > NEW-FILE"
)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The key that seals the store now. `discarded_count`: values that the key before did not open."""

    key_file: Path
    digest: str
    digest_before: str  # empty: there was no usable key
    discarded_count: int


async def rekey(
    url: str,
    key_file: Path | None,
    *,
    owner: str,
    discards: bool,
    new_key: Path | None,
    note: Callable[[str], object] = lambda _text: None,
) -> KeyChange:
    """Seal the store at `url` with a new key: that of the file `new_key`, else a random one that replaces `key_file`.

    `discards`: delete what the key in force does not open. `note` gets what it waits for. Raises StoreError, also if a
    daemon uses the store.
    """
    path = key_file or default_key_file(url)
    if new_key is None and is_credential(path):
        raise StoreKeyError(
            f"cannot replace {path}, which is a credential; make a new key, and name it: --new-key FILE"
        )
    lock = lock_of_store(url)
    if lock is None:
        raise StoreError("cannot change the key: store.url is not a URL of a database")

    def waits(others: str) -> None:
        note(f"waiting up to {COMMAND_S:.0f} s for {others}, which works on the store; {_CURE}")

    try:
        async with held_alone(lock, owner=owner, what="the store", note=waits):
            return await _rekey(url, path, discards=discards, new_key=new_key)
    except HeldError as error:
        raise StoreError(f"cannot change the key: {error.owner} works on the store; {_CURE}") from None


async def _rekey(url: str, path: Path, *, discards: bool, new_key: Path | None) -> KeyChange:
    database = await Database.open(url, key_file=path)
    try:
        old = database.sealing
        if old.fault is not None and not discards:
            raise StoreKeyError(old.fault)
        key = await asyncio.to_thread(_new_key, path, new_key)
        async with database.transaction(limit_s=WHOLE_STORE_S) as connection:
            lost = await connection.run_sync(partial(reseal, old=old, new=Sealing(key), discards=discards))
        if new_key is None:
            await asyncio.to_thread(_put_in_place, path)
    finally:
        await database.close()
    used = new_key or path
    await (await Database.open(url, key_file=used)).close()  # erases what the key before sealed
    return KeyChange(used, key.digest, old.key_digest, lost)


def _new_key(path: Path, new_key: Path | None) -> StoreKey:
    if new_key is not None:
        return _key_of_the_operator(new_key)
    try:
        draft = next_key_file(path)
        draft.unlink(missing_ok=True)  # of a change that was not committed
        key = StoreKey(secrets.token_bytes(KEY_BYTES))
        write_key(draft, key.secret)
    except OSError as error:
        raise StoreKeyError(f"cannot write a new key beside {path}: {error.strerror}; run it as root") from error
    return key


def _key_of_the_operator(path: Path) -> StoreKey:
    try:
        key = read_key(path)
    except KeyFileError as error:
        raise StoreKeyError(f"--new-key: {error.what}; {_KEY_OF_THE_OPERATOR}") from error
    if key is None:
        raise StoreKeyError(f"--new-key: there is no {path}; {_KEY_OF_THE_OPERATOR}")
    return key


def _put_in_place(path: Path) -> None:
    next_key_file(path).replace(path)
    sync_directory(path.parent)

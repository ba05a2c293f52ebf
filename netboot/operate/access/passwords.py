"""Hashes and verifies passwords with argon2id (RFC 9106), in threads of low priority, two at once.

One hash takes 64 MiB and about a tenth of a second of one core.
"""

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from netboot.errors import AccountRefusedError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 12  # characters
LONGEST: Final = 256

_AT_ONCE: Final = 2
_NICE: Final = 10  # machines are answered first
_MEMORY_KIB: Final = 64 * 1024
_PASSES: Final = 2

Result = TypeVar("Result")


class Passwords:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, "argon2", initializer=_lower_priority)

    async def hashed(self, password: str) -> str:
        """Return the hash of a password, in PHC form; raise AccountRefusedError if it is too short or too long."""
        count = len(password)
        if not SHORTEST <= count <= LONGEST:
            raise AccountRefusedError(f"a password has from {SHORTEST} to {LONGEST} characters; this one has {count}")
        return await self._in_a_thread(lambda: _hasher().hash(_normal(password)))

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Compare a password with a hash; None, of a user that does not exist, takes as long."""
        text = password[: LONGEST + 1]  # a longer one is no user's
        return await self._in_a_thread(lambda: _is_right(_normal(text), password_hash))

    async def _in_a_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _is_right(text: bytes, password_hash: str | None) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    if password_hash is None:
        _hasher().hash(text)
        return False
    try:
        return _hasher().verify(password_hash, text)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # slow to load, and needed at a login only

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)


def _lower_priority() -> None:
    thread = threading.get_native_id()  # Linux has a priority for each
    with suppress(PermissionError):  # in the sandbox of netboot.service
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))


def _normal(password: str) -> bytes:
    """Return the same bytes for each way to type a password (RFC 8265)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")

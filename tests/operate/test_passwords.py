"""Passwords are hashed with argon2id in threads of low priority, at most two at once."""

import asyncio
import os
import threading
import time

import argon2
import pytest

from netboot.errors import AccountRefusedError
from netboot.operate.access.passwords import LONGEST, SHORTEST, Passwords

PASSWORD = "correct horse battery"


def test_a_hash_is_argon2id_which_another_verifier_accepts():
    made = asyncio.run(Passwords().hashed(PASSWORD))

    assert argon2.extract_parameters(made) == argon2.Parameters(argon2.Type.ID, 19, 16, 32, 2, 65536, 1)
    assert argon2.PasswordHasher().verify(made, PASSWORD)


def test_only_the_password_is_right_however_it_is_typed():
    async def scenario() -> list[bool]:
        passwords = Passwords()
        made = await passwords.hashed("caf\u00e9 au lait, toujours")
        tries = ["caf\u00e9 au lait, toujours", "cafe\u0301 au lait, toujours", "cafe au lait, toujours", "", "\ud800"]
        return [await passwords.is_right(text, made) for text in tries]

    assert asyncio.run(scenario()) == [True, True, False, False, False]


def test_no_password_of_an_unknown_user_is_right_and_a_damaged_hash_neither():
    async def scenario() -> list[bool]:
        passwords = Passwords()
        return [await passwords.is_right(PASSWORD, None), await passwords.is_right(PASSWORD, "$argon2id$damaged")]

    assert asyncio.run(scenario()) == [False, False]


def test_an_unknown_user_takes_as_long_as_a_wrong_password():
    async def scenario() -> tuple[float, float]:
        passwords = Passwords()
        made, least = await passwords.hashed(PASSWORD), [9.0, 9.0]
        for _ in range(5):
            for which, password_hash in enumerate((made, None)):
                began_s = time.thread_time(), time.perf_counter()
                await passwords.is_right("wrong password", password_hash)
                least[which] = min(least[which], time.perf_counter() - began_s[1])
        return least[0], least[1]

    known_s, unknown_s = asyncio.run(scenario())

    assert 0.5 < unknown_s / known_s < 2


@pytest.mark.parametrize("length", [0, SHORTEST - 1, LONGEST + 1])
def test_a_password_that_is_too_short_or_too_long_is_refused(length: int):
    with pytest.raises(AccountRefusedError, match=f"this one has {length}"):
        asyncio.run(Passwords().hashed("x" * length))


def test_the_threads_have_a_lower_priority_than_the_others():
    async def scenario() -> set[int]:
        await Passwords().is_right(PASSWORD, None)
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("argon2")]
        return {os.getpriority(os.PRIO_PROCESS, thread.native_id or 0) for thread in threads}

    before = os.getpriority(os.PRIO_PROCESS, 0)

    assert asyncio.run(scenario()) == {max(before, 10)}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before

"""Logins, their sessions and their limits, on a real store."""

from datetime import timedelta
from typing import Any

import pytest
from fixtures.access import PASSWORD, MovedClock, OpenAccess, with_access

from netboot.errors import LoginLimitedError, LoginRefusedError
from netboot.model.access.access_rule import RefusedCredential, UserRole
from netboot.model.access.accounts import LoginSession
from netboot.operate.access.login_limits import OF_ADDRESS
from netboot.operate.access.logins import SESSIONS_OF_USER, LoggedIn
from netboot.operate.access.user_accounts import NewUser, UserEdit

HERE, ELSEWHERE = "192.0.2.7", "192.0.2.8"


async def alice(access: OpenAccess) -> LoggedIn:
    """Add a user, and log in."""
    await access.uses.users.add(NewUser("alice", UserRole.ADMIN, PASSWORD))
    return await access.uses.logins.log_in("alice", PASSWORD, HERE)


def user_of(found: LoginSession | RefusedCredential) -> str | None:
    return found.user if isinstance(found, LoginSession) else None


def test_a_login_is_a_session_of_its_address_and_an_event(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        login = await alice(access)
        found = access.uses.logins.session_of(login.cookie, HERE)
        (user,) = await access.uses.users.all()

        assert found == login.session
        assert (user.logged_in_at, user.sessions) == (access.clock.now(), [login.session])
        assert access.named("access.logged_in") == [{"user": "alice", "address": HERE, "role": "admin"}]
        assert login.cookie not in repr(login) + repr(access.events)

    with_access(sqlite_url, scenario)


@pytest.mark.parametrize(
    ("name", "password", "data"),
    [
        ("alice", "wrong password", {"user": "alice", "reason": "wrong-password"}),
        ("alice", "", {"user": "alice", "reason": "wrong-password"}),
        ("my secret password", PASSWORD, {"user": None, "reason": "unknown-user"}),
        ("alice\x00", PASSWORD, {"user": None, "reason": "unknown-user"}),
        ("\ud800" * 5000, PASSWORD, {"user": None, "reason": "unknown-user"}),
    ],
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(
    sqlite_url: str, name: str, password: str, data: dict[str, Any]
):
    async def scenario(access: OpenAccess) -> None:
        await alice(access)
        with pytest.raises(LoginRefusedError, match="user name or password is wrong"):
            await access.uses.logins.log_in(name, password, ELSEWHERE)

        assert access.named("access.login_failed") == [{**data, "address": ELSEWHERE}]

    with_access(sqlite_url, scenario)


def test_a_cookie_from_another_address_is_refused_and_ends_the_session(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        login = await alice(access)
        stolen = access.uses.logins.session_of(login.cookie, ELSEWHERE)
        own = access.uses.logins.session_of(login.cookie, HERE)

        assert stolen == RefusedCredential(
            "this login belongs to another address and has ended now; log in again", is_session=True
        )
        assert own == RefusedCredential("this login has ended; log in again", is_session=True)
        assert access.named("access.session_refused") == [
            {"user": "alice", "address": ELSEWHERE, "login_address": HERE}
        ]

    with_access(sqlite_url, scenario)
    assert with_access(sqlite_url, lambda access: access.uses.users.all())[0].sessions == []


def test_a_session_survives_a_restart_and_ends_without_use_or_after_a_week(sqlite_url: str):
    clock = MovedClock()
    cookie = with_access(sqlite_url, alice, clock=clock).cookie

    async def used(access: OpenAccess) -> bool:
        await access.uses.load()
        return user_of(access.uses.logins.session_of(cookie, HERE)) == "alice"

    found = []
    for hours in (11, 11, *[11] * 13, 3, 0):
        clock.passed += timedelta(hours=hours)
        found.append(with_access(sqlite_url, used, clock=clock))

    assert found == [*[True] * 15, False, False]  # 165 hours, and then 168


def test_an_unused_session_ends(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        login = await alice(access)
        access.clock.passed += timedelta(hours=12)

        assert access.uses.readings()[0].value == 0
        assert user_of(access.uses.logins.session_of(login.cookie, HERE)) is None

    with_access(sqlite_url, scenario)


@pytest.mark.parametrize("change", ["role", "password", "remove", "log out"])
def test_a_session_ends_with_the_change_that_ends_it_and_its_followers_learn_of_it(sqlite_url: str, change: str):
    async def scenario(access: OpenAccess) -> None:
        login, ended = await alice(access), list[str]()
        access.uses.on_ended(ended.append)
        match change:
            case "role":
                await access.uses.users.change(UserEdit("alice", UserRole.READ_ONLY))
            case "password":
                await access.uses.users.change(UserEdit("alice", password=PASSWORD + "2"))
            case "remove":
                await access.uses.users.remove("alice")
            case _:
                await access.uses.logins.log_out(login.session)

        assert user_of(access.uses.logins.session_of(login.cookie, HERE)) is None
        assert ended == [login.session.sha256]

    with_access(sqlite_url, scenario)


def test_a_user_has_a_bounded_number_of_sessions_and_the_oldest_ends(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        first = await alice(access)
        others = []
        for _ in range(SESSIONS_OF_USER):
            access.clock.passed += timedelta(minutes=1)
            others.append(await access.uses.logins.log_in("alice", PASSWORD, HERE))
        (user,) = await access.uses.users.all()

        assert user_of(access.uses.logins.session_of(first.cookie, HERE)) is None
        assert user.sessions == [login.session for login in others]

    with_access(sqlite_url, scenario)


def test_a_flood_of_wrong_logins_is_refused_without_a_comparison_and_hinders_nobody_else(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        await access.uses.users.add(NewUser("alice", UserRole.ADMIN, PASSWORD))
        refused: list[type[Exception]] = []
        for _ in range(1000):
            try:
                await access.uses.logins.log_in("alice", "wrong password", ELSEWHERE)
            except (LoginRefusedError, LoginLimitedError) as error:
                refused.append(type(error))
        login = await access.uses.logins.log_in("alice", PASSWORD, HERE)

        assert refused.count(LoginRefusedError) == OF_ADDRESS.most
        assert refused.count(LoginLimitedError) == 1000 - OF_ADDRESS.most
        assert login.session.address == HERE
        assert len(access.named("access.login_failed")) == 1
        with pytest.raises(LoginLimitedError) as limited:
            await access.uses.logins.log_in("alice", PASSWORD, ELSEWHERE)
        assert limited.value.wait_s == OF_ADDRESS.every_s

    with_access(sqlite_url, scenario)

"""API tokens are made, shown once, used until they expire, and revoked."""

from datetime import timedelta

import pytest
from fixtures.access import BEGIN, ROOT, MovedClock, OpenAccess, with_access

from netboot.errors import AccountRefusedError, UnknownAccountError
from netboot.model.access.access_rule import RefusedCredential, UserRole
from netboot.model.access.accounts import ApiToken
from netboot.operate.access.api_tokens import CreatedToken, NewToken

ADMIN, READ_ONLY = UserRole.ADMIN, UserRole.READ_ONLY
HERE = "192.0.2.7"


async def create(access: OpenAccess) -> CreatedToken:
    return await access.uses.tokens.create(NewToken("ci", READ_ONLY, timedelta(days=1)))


def test_a_token_is_shown_once_and_its_hash_alone_is_stored(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        created = await create(access)
        (token,) = await access.uses.tokens.all()

        assert (created.token[:3], len(created.token), created.expires_at) == ("nb_", 46, BEGIN + timedelta(days=1))
        assert (token.role, token.created_by, token.used_at) == (READ_ONLY, ROOT.name, None)
        assert created.token not in repr((created, token, access.events))
        assert [audit["subject"] for audit in access.named("audit.recorded")] == ["ci: role read-only"]

    with_access(sqlite_url, scenario)


def test_a_token_is_valid_after_a_restart_until_it_expires(sqlite_url: str):
    clock = MovedClock()
    sent = with_access(sqlite_url, create, clock=clock).token

    async def found(access: OpenAccess) -> ApiToken | RefusedCredential:
        await access.uses.load()
        return access.uses.tokens.token_of(sent, HERE)

    valid = with_access(sqlite_url, found, clock=clock)
    clock.passed = timedelta(days=1)
    expired = with_access(sqlite_url, found, clock=clock)

    assert (valid.name, valid.used_at) == ("ci", BEGIN)
    assert expired == RefusedCredential(
        "the API token ci has expired; netboot token create makes another one", is_session=False
    )


def test_a_refused_token_is_an_event_without_the_token(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        created, ended = await create(access), list[str]()
        access.uses.on_ended(ended.append)
        await access.uses.tokens.revoke("ci")
        revoked = access.uses.tokens.token_of(created.token, HERE)
        unknown = access.uses.tokens.token_of("nb_\udcff\ud800", "192.0.2.8")

        refused = RefusedCredential("this API token is unknown or revoked; netboot token create makes one", False)
        assert revoked == unknown == refused
        assert len(ended) == 1
        assert access.named("access.token_refused") == [
            {"address": address, "token": None, "reason": "unknown"} for address in (HERE, "192.0.2.8")
        ]
        with pytest.raises(UnknownAccountError, match="no API token is called ci"):
            await access.uses.tokens.revoke("ci")

    with_access(sqlite_url, scenario)


def test_the_use_of_a_token_is_written_once_a_minute(sqlite_url: str):
    async def scenario(access: OpenAccess) -> list[ApiToken]:
        created = await create(access)
        for seconds in (0, 59, 61):
            access.clock.passed = timedelta(seconds=seconds)
            access.uses.tokens.token_of(created.token, HERE)
        await access.database.finished()
        return await access.uses.tokens.all()

    (used,) = with_access(sqlite_url, scenario)
    (stored,) = with_access(sqlite_url, lambda access: access.uses.tokens.all())

    assert used == stored
    assert used.used_at == BEGIN + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (NewToken("", ADMIN), "its name has at most 63 letters"),
        (NewToken("a b", ADMIN), "its name has at most 63 letters"),
        (NewToken("ci", ADMIN), "one has this name; netboot token revoke ci"),
        (NewToken("now", ADMIN, timedelta()), "it expires after a minute at least"),
        (NewToken("late", ADMIN, timedelta(days=3651)), "it expires after a minute at least and 3650 days at most"),
    ],
)
def test_a_token_that_cannot_be_made_is_refused(sqlite_url: str, new: NewToken, reason: str):
    async def scenario(access: OpenAccess) -> None:
        await create(access)
        with pytest.raises(AccountRefusedError, match=reason):
            await access.uses.tokens.create(new)

        assert [token.name for token in await access.uses.tokens.all()] == ["ci"]

    with_access(sqlite_url, scenario)


def test_a_token_that_does_not_expire_is_valid_in_ten_years(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        created = await access.uses.tokens.create(NewToken("ci", ADMIN, None))
        access.clock.passed = timedelta(days=3660)

        assert created.expires_at is None
        assert isinstance(access.uses.tokens.token_of(created.token, HERE), ApiToken)

    with_access(sqlite_url, scenario)

"""When a session and an API token end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from netboot.model.access.access_rule import UserRole
from netboot.model.access.accounts import ApiToken, LoginSession

BEGAN = datetime(2026, 11, 29, 12, tzinfo=UTC)


def session(used_after: timedelta) -> LoginSession:
    return LoginSession("0" * 64, "alice", UserRole.ADMIN, "192.0.2.7", BEGAN, BEGAN + used_after)


def token(expires_at: datetime | None) -> ApiToken:
    return ApiToken("ci", UserRole.ADMIN, "0" * 64, BEGAN, "uid 0", expires_at)


def test_a_session_that_is_not_used_ends_after_twelve_hours():
    used = session(timedelta(hours=1))

    assert used.ends_at() == BEGAN + timedelta(hours=13)
    assert not used.is_ended(BEGAN + timedelta(hours=12, minutes=59))
    assert used.is_ended(BEGAN + timedelta(hours=13))


def test_a_session_that_is_used_ends_after_seven_days():
    assert session(timedelta(days=6, hours=23)).ends_at() == BEGAN + timedelta(days=7)


def test_a_token_ends_at_its_time_or_never():
    assert not token(None).is_expired(BEGAN + timedelta(days=10_000))
    assert not token(BEGAN).is_expired(BEGAN - timedelta(seconds=1))
    assert token(BEGAN).is_expired(BEGAN)


def test_no_hash_is_represented():
    assert "0000" not in repr(session(timedelta())) + repr(token(None))


def test_a_session_is_named_by_the_beginning_of_the_hash_of_its_cookie():
    named = replace(session(timedelta()), sha256="0123456789abcdef" + "f" * 48)

    assert named.id == "0123456789abcdef"

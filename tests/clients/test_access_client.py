"""The requests about users and API tokens; tests/admin compares them with the description of the API."""

from datetime import timedelta
from typing import Any

import pytest
from fixtures.client_requests import MANY, NAME, ONE, QUOTED, Call, made

from netboot.clients.access_client import AccessClient
from netboot.model.access.access_rule import UserRole
from netboot.operate.access.api_tokens import NewToken
from netboot.operate.access.user_accounts import NewUser, UserEdit

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        (lambda r: AccessClient(r).users.all(), MANY, ("GET", "users")),
        (
            lambda r: AccessClient(r).users.add(NewUser("alice", UserRole.ADMIN, PASSWORD)),
            ONE,
            ("POST", "users", {"name": "alice", "role": "admin", "password": PASSWORD}),
        ),
        (
            lambda r: AccessClient(r).users.change(UserEdit(NAME, UserRole.READ_ONLY)),
            ONE,
            ("PATCH", f"users/{QUOTED}", {"role": "read-only"}),
        ),
        (
            lambda r: AccessClient(r).users.change(UserEdit("bob", None, PASSWORD)),
            ONE,
            ("PATCH", "users/bob", {"password": PASSWORD}),
        ),
        (lambda r: AccessClient(r).users.remove(NAME), ONE, ("DELETE", f"users/{QUOTED}")),
        (lambda r: AccessClient(r).tokens.all(), MANY, ("GET", "tokens")),
        (
            lambda r: AccessClient(r).tokens.create(NewToken("ci", UserRole.ADMIN, timedelta(days=1))),
            ONE,
            ("POST", "tokens", {"name": "ci", "role": "admin", "expires_in_s": 86400}),
        ),
        (
            lambda r: AccessClient(r).tokens.create(NewToken("ci", UserRole.READ_ONLY, None)),
            ONE,
            ("POST", "tokens", {"name": "ci", "role": "read-only", "expires_in_s": None}),
        ),
        (lambda r: AccessClient(r).tokens.revoke(NAME), ONE, ("DELETE", f"tokens/{QUOTED}")),
    ],
)
def test_each_method_makes_one_request_and_returns_its_answer(call: Call, answer: object, expected: tuple[Any, ...]):
    assert made(call, answer) == (answer, expected, {})

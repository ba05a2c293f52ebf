"""Users, API tokens and who sends a request, by the API on the whole appliance in one process."""

from typing import Any

import pytest
from fixtures.access import PASSWORD
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance

ALICE = {"name": "alice", "role": "admin", "password": PASSWORD}
NOT_A_ROLE = {"error": "role is admin or read-only", "code": "bad-request"}


def answer(box: Appliance, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = box.api(method, path, body)
    return response.status, without_rfc_members(response.json(), response.status)


def test_a_user_is_added_listed_changed_and_removed(box: Appliance):
    added = answer(box, "POST", "/users", ALICE)
    listed = answer(box, "GET", "/users")
    changed = answer(box, "PATCH", "/users/alice", {"role": "read-only"})
    removed = answer(box, "DELETE", "/users/alice")

    assert (added[0], added[1]["user"]) == (201, listed[1][0])
    assert set(listed[1][0]) == {"name", "role", "created_at", "changed_at", "logged_in_at", "sessions"}
    assert (changed[0], changed[1]["user"]["role"]) == (200, "read-only")
    assert (removed[0], answer(box, "GET", "/users")) == (200, (200, []))


def test_a_token_is_in_the_answer_that_makes_it_and_in_no_other(box: Appliance):
    status, created = answer(box, "POST", "/tokens", {"name": "ci", "role": "admin", "expires_in_s": 3600})
    listed = box.api("GET", "/tokens")
    revoked = answer(box, "DELETE", "/tokens/ci")

    assert (status, created["name"], created["token"][:3]) == (201, "ci", "nb_")
    assert created["token"].encode() not in listed.body
    assert set(listed.json()[0]) == {"name", "role", "created_at", "created_by", "expires_at", "used_at"}
    assert (revoked[0], revoked[1]["name"]) == (200, "ci")


def test_the_default_end_of_a_token_is_in_90_days_and_null_is_never(box: Appliance):
    at_default = answer(box, "POST", "/tokens", {"name": "a", "role": "admin"})[1]
    never = answer(box, "POST", "/tokens", {"name": "b", "role": "admin", "expires_in_s": None})[1]

    assert (at_default["expires_at"][:10], never["expires_at"]) == ("2027-02-19", None)


def test_a_requester_learns_who_it_is_and_what_it_may_do(box: Appliance):
    status, found = answer(box, "GET", "/session")

    assert status == 200
    assert {name: value for name, value in found.items() if name not in ("actor", "source")} == {
        "channel": "control-socket",
        "role": None,
        "session": None,
        "may_change": True,
        "may_manage": True,
        "change_refusal": None,
        "manage_refusal": None,
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/users", {}, (400, {"error": "name is a text", "code": "bad-request"})),
        ("POST", "/users", {**ALICE, "role": "root"}, (400, NOT_A_ROLE)),
        ("POST", "/users", {**ALICE, "role": 1}, (400, NOT_A_ROLE)),
        ("POST", "/users", {**ALICE, "admin": True}, (400, None)),
        ("POST", "/users", {**ALICE, "password": [PASSWORD]}, (400, None)),
        ("POST", "/users", {**ALICE, "password": "\ud800" * 20}, (409, None)),
        ("POST", "/users", b"[" * 10_000, (400, None)),
        ("PATCH", "/users/eve", {"role": "admin"}, (404, None)),
        ("PATCH", "/users/eve", {"role": "root"}, (400, NOT_A_ROLE)),
        ("DELETE", "/users/eve", None, (404, None)),
        ("POST", "/tokens", {"name": "ci", "role": "admin", "expires_in_s": 59}, (400, None)),
        ("POST", "/tokens", {"name": "ci", "role": "admin", "expires_in_s": 10**30}, (400, None)),
        ("POST", "/tokens", {"name": "../ci", "role": "admin"}, (409, None)),
        ("DELETE", "/tokens/eve", None, (404, None)),
    ],
)
def test_a_wrong_request_changes_nothing(box: Appliance, method: str, path: str, body: Any, expected: tuple[int, Any]):
    status, error = answer(box, method, path, body)

    assert status == expected[0]
    assert expected[1] is None or error == expected[1]
    assert PASSWORD not in str(error)
    assert answer(box, "GET", "/users") == answer(box, "GET", "/tokens") == (200, [])

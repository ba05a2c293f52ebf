"""Media and releases by the API, on the whole appliance in one process. tests/daemon has the verifications."""

from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

UNKNOWN = "there is no medium and no release nothing in "


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def answer(box: Appliance, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = box.api(method, f"/content{path}", body)
    return response.status, without_rfc_members(response.json(), response.status)


def test_entries_are_listed_and_shown_with_their_users(box: Appliance):
    status, entries = answer(box, "GET", "")
    used = next(each for each in entries if each["entry"]["used_by"] and each["entry"]["kind"] == "release")
    name = used["entry"]["name"]

    assert status == 200
    assert used["files"] == {}
    assert all(" refers to it (" in reason or "it is also called" in reason for reason in used["reasons"])
    status, shown = answer(box, "GET", f"/entries/{name}")
    assert (status, shown["entry"]) == (200, used["entry"])
    status, refused = answer(box, "DELETE", f"/entries/{name}")
    assert (status, refused["code"]) == (409, "content-refused")
    assert refused["error"].splitlines() == [f"cannot remove {name}: {reason}" for reason in shown["reasons"]]


def test_an_alias_is_made_and_removed(box: Appliance):
    name = next(each["entry"]["name"] for each in answer(box, "GET", "")[1] if each["entry"]["kind"] == "release")

    promoted = answer(box, "POST", "/promote", {"name": name, "alias": "edge"})
    removed = answer(box, "DELETE", "/entries/edge")

    assert promoted == (200, {"alias": "edge", "name": name, "armings_ended": [], "tags": []})
    assert removed == (200, {"removed": "edge", "size_bytes": 0})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/entries/nothing", None, 404, "content-unusable"),
        ("DELETE", "/entries/nothing", None, 404, "content-unusable"),
        ("POST", "/promote", {"name": "nothing", "alias": "edge"}, 404, "content-unusable"),
        ("POST", "/promote", {"alias": "edge"}, 400, "bad-request"),
        ("POST", "/promote", {"name": "x", "alias": "y", "force": True}, 400, "bad-request"),
        ("POST", "/verifications", {"name": "nothing"}, 404, "content-unusable"),
        ("POST", "/verifications", {"name": 1}, 400, "bad-request"),
        ("DELETE", "/verifications/nothing", None, 404, "verification-unknown"),
    ],
)
def test_a_request_with_a_fault_is_refused(box: Appliance, method: str, path: str, body: Any, status: int, code: str):
    found = answer(box, method, path, body)

    assert (found[0], found[1]["code"]) == (status, code)


def test_a_name_that_is_used_or_not_valid_becomes_no_alias(box: Appliance):
    entries = [each["entry"] for each in answer(box, "GET", "")[1]]
    release = next(each["name"] for each in entries if each["kind"] == "release" and not each["alias_of"])
    medium = next(each["name"] for each in entries if each["kind"] == "boot medium" and not each["alias_of"])

    assert answer(box, "POST", "/promote", {"name": release, "alias": medium})[0] == 409
    assert answer(box, "POST", "/promote", {"name": release, "alias": "../x"})[0] == 400


def test_remains_are_deleted(box: Appliance):
    remains = box.directory / "content/.staging/1-killed"
    remains.mkdir(parents=True)
    (remains / "file").write_bytes(bytes(100))

    images = {"manifests": 0, "blobs": 0, "size_bytes": 0, "pulled": 0}
    assert answer(box, "POST", "/collect") == (200, {"deleted": 1, "size_bytes": 100, "images": images})
    assert answer(box, "POST", "/collect") == (200, {"deleted": 0, "size_bytes": 0, "images": images})
    assert answer(box, "GET", "/verifications") == (200, [])

"""Captures by the API of the whole appliance in one process: which boots have one, and refusals."""

from collections.abc import Iterator

import pytest
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

BOOT = {"error": "boot is a whole number: 0 is the last boot, -1 the one before, 1 the first", "code": "bad-request"}
NONE = {"error": "no capture of cp1 is kept; see records.captures", "code": "capture-unknown"}


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        *[(f"cp1/capture?boot={wrong}", 400, BOOT) for wrong in ("x", "1.5", "", "9999999")],
        ("cp1/capture", 404, NONE),
        ("cp1/captures", 200, []),
        ("52:54:00:00:00:99/captures", 200, []),
    ],
)
def test_a_machine_without_a_capture_has_none(appliance: Appliance, path: str, status: int, expected: object):
    response = appliance.api("GET", f"/installs/{path}")

    assert (response.status, without_rfc_members(response.json(), status)) == (status, expected)


@pytest.mark.parametrize("what", ["capture", "captures"])
def test_an_unknown_host_has_no_capture(appliance: Appliance, what: str):
    response = appliance.api("GET", f"/installs/nosuch/{what}")

    assert (response.status, response.json()["code"]) == (404, "host-unknown")

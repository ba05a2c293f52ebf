"""Rescues and wipes are requested and ended by the API, on the control socket only, on the whole appliance."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.problems import without_rfc_members
from safety.appliance import MEDIUM, Appliance, link_shared
from safety.declared import A1, A2, AT_FIRST

OLD1 = {"role": "worker", "mac": "52:54:00:aa:00:97", "disk": {"serial": "S1"}}
RESCUED = [{"machine": "cp1", "macs": [A1, A2], "medium": MEDIUM}]


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    link_shared(shared, tmp_path)
    (tmp_path / "hosts.d").mkdir()
    box = Appliance(tmp_path, AT_FIRST.text(), files="hosts.yaml, hosts.d")
    yield box
    box.close()


def answer(box: Appliance, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = box.api(method, path, body)
    found = response.json()
    return response.status, without_rfc_members(found, response.status)


def test_a_rescue_is_requested_shown_and_cancelled(box: Appliance):
    requested = answer(box, "POST", "/rescues", {"hosts": ["cp1"]})
    (cp1, *_) = answer(box, "GET", "/hosts")[1]
    unarmed = answer(box, "POST", "/hosts/cp1/arm", {"force": True})
    cancelled = answer(box, "POST", "/rescues/cancel", {"hosts": ["cp1"]})

    assert requested == (200, RESCUED)
    assert (cp1["next_boot"]["kind"], cp1["next_boot"]["medium"]) == ("rescue", MEDIUM)
    assert (unarmed[0], unarmed[1]["code"]) == (409, "arming-refused")
    assert unarmed[1]["reasons"] == [
        "its rescue is requested, and an install would wipe the disk; netboot host rescue cp1 --cancel first"
    ]
    assert cancelled == (200, [{"machine": "cp1", "note": "cp1 boots no rescue"}])
    assert answer(box, "GET", "/hosts/cp1/install")[1]["next_boot"] is None


def test_an_armed_host_is_not_rescued(box: Appliance):
    assert box.arm("cp1", force=True) == 200

    status, error = answer(box, "POST", "/rescues", {"hosts": ["cp1", "cp2"]})

    assert (status, error["code"]) == (409, "rescue-refused")
    assert error["error"].splitlines() == [
        "cannot rescue cp1: it is armed, and a rescued disk must not be wiped; netboot install cancel cp1",
        "no rescue was requested",
    ]


def test_a_wipe_needs_the_name_again_and_is_cancelled(box: Appliance):
    assert answer(box, "POST", "/hosts", {"name": "old1", "values": OLD1})[0] == 201
    wrong = answer(box, "POST", "/hosts/old1/retire", {"wipe": "old2"})
    flag = answer(box, "POST", "/hosts/old1/retire", {"wipe": True})
    retired = answer(box, "POST", "/hosts/old1/retire", {"wipe": "old1"})
    cancelled = [answer(box, "DELETE", "/wipes/old1") for _ in range(2)]

    refused = {"error": "wipe is the name of the host again, old1, or absent", "code": "bad-request"}
    assert wrong == flag == (400, refused)
    assert retired[0] == 200
    assert retired[1]["notes"] == [
        f"old1 is retired; the next network boot of its machine erases serial S1, with {MEDIUM}; "
        "until then: netboot host retire old1 --cancel-wipe"
    ]
    assert cancelled[0] == (200, {"machine": "old1", "note": "the wipe of old1 is cancelled: an operator cancelled it"})
    assert (cancelled[1][0], cancelled[1][1]["code"]) == (404, "host-unknown")


def test_the_disk_of_a_host_without_a_stable_name_is_not_wiped(box: Appliance):
    answer(box, "POST", "/hosts", {"name": "old1", "values": {**OLD1, "disk": "/dev/sda"}})

    status, error = answer(box, "POST", "/hosts/old1/retire", {"wipe": "old1"})

    assert (status, error["code"]) == (409, "wipe-refused")
    assert "old1" in [host["name"] for host in answer(box, "GET", "/hosts")[1]]


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/rescues", {"hosts": []}, "hosts is a list of names, one at least"),
        ("/rescues", {"hosts": "cp1"}, "hosts is a list of names, one at least"),
        ("/rescues", {"hosts": ["cp1"], "medium": 1}, "medium is the name of a boot medium"),
        ("/rescues/cancel", {}, "hosts is a list of names, one at least"),
        ("/inspections", {}, "machine is the name of a host, or a MAC"),
    ],
)
def test_an_invalid_request_changes_nothing(box: Appliance, path: str, body: Any, error: str):
    assert answer(box, "POST", path, body) == (400, {"error": error, "code": "bad-request"})

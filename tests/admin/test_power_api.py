"""The routes of power and of BMCs on the whole appliance: what they refuse, and that no password comes back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.html_page import HtmlPage
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import AT_FIRST

NO_BMC = "no BMC is declared for cp1; set hosts.cp1.bmc"
SECRET = "it's: a #secret"
WAIT = "wait_s is seconds, 0 to 25: how long its end is waited for"
HTML = ("Host: localhost", "Accept: text/html")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def answer(box: Appliance, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = box.api(method, path, body)
    found = response.json()
    return response.status, without_rfc_members(found, response.status)


def test_a_host_without_a_bmc_is_refused_with_its_reason_for_all_hosts(box: Appliance):
    expected = {
        "error": f"cannot power on: {NO_BMC}\nnothing was requested",
        "code": "power-refused",
        "reasons": [NO_BMC],
        "hosts": {"cp1": [NO_BMC]},
    }

    assert answer(box, "POST", "/hosts/cp1/power", {"action": "on"}) == (409, expected)
    assert answer(box, "POST", "/power", {"hosts": ["cp1"], "action": "on", "force": True}) == (409, expected)
    assert box.api("GET", "/power").json() == []
    read = box.api("GET", "/hosts/cp1/power").json()
    assert (read["has_bmc"], read["intents"]) == (False, [])
    assert [each["reasons"] for each in read["actions"]] == [[NO_BMC]] * 4


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/hosts/cp1/power", {"action": "reboot"}, 400, "action is one of on, off, cycle, pxe"),
        ("POST", "/hosts/cp1/power", {"action": ["on"]}, 400, "action is one of on, off, cycle, pxe"),
        ("POST", "/hosts/cp1/power", {}, 400, "action is one of on, off, cycle, pxe"),
        (
            "POST",
            "/hosts/cp1/power",
            {"action": "pxe", "network_boot": "tftp"},
            400,
            "network_boot is of the action pxe: one of pxe, http, http-uri; null: as the host declares",
        ),
        ("POST", "/power", {"action": "on"}, 400, "hosts is a list of names, one at least"),
        ("POST", "/power", {"role": "x", "action": "on"}, 404, "no host has role x; netboot host list shows the hosts"),
        ("GET", "/power/intents/ab12", None, 404, "no power action ab12 is kept; see netboot power status HOST"),
        ("GET", "/power/intents/ab12?wait_s=60", None, 400, WAIT),
        ("PUT", "/hosts/cp1/bmc/credentials", {"username": "root"}, 400, "password is a text of 1 to 255 characters"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(box: Appliance, method: str, path: str, body: Any, status: int, error: str):
    found = answer(box, method, path, body)

    assert (found[0], found[1]["error"]) == (status, error)


def test_credentials_are_written_for_their_owner_alone_and_come_back_nowhere(box: Appliance):
    body = {"username": "root", "password": SECRET}
    status, written = answer(box, "PUT", "/hosts/cp1/bmc/credentials", body)

    file = Path(written["file"])
    assert (status, written) == (200, {"host": "cp1", "file": str(box.directory / "bmc.d" / "cp1")})
    assert (file.stat().st_mode & 0o777, file.read_text()) == (
        0o600,
        "username: 'root'\npassword: 'it''s: a #secret'\n",
    )
    audit = box.api("GET", "/activity?event=audit.recorded").json()[0]
    assert (audit["data"]["action"], audit["data"]["subject"]) == ("set BMC credentials", "cp1")
    assert answer(box, "PUT", "/hosts/w99/bmc/credentials", body)[0] == 404
    for path in ("/hosts/cp1", "/hosts/cp1/power", "/activity", "/status"):
        assert b"#secret" not in box.api("GET", path).body


def get(box: Appliance, path: str) -> HtmlPage:
    return HtmlPage.of(box.administration("GET", path, headers=HTML).body)


def post(box: Appliance, path: str, body: bytes) -> Response:
    headers = (*HTML, "Content-Type: application/x-www-form-urlencoded")
    return box.administration("POST", path, body, headers=headers)


def test_the_form_of_the_credentials_is_always_empty(box: Appliance):
    (form,) = get(box, "/hosts/cp2/bmc").forms
    refused = post(box, "/hosts/cp2/bmc", form.body(username="root", password="a\x07b"))
    done = post(box, "/hosts/cp2/bmc", form.body(username="root", password=SECRET))

    assert (refused.status, done.status, done.headers["location"]) == (502, 303, "/hosts/cp2")
    assert b"a\x07b" not in refused.body
    assert (box.directory / "bmc.d" / "cp2").read_text() == "username: 'root'\npassword: 'it''s: a #secret'\n"
    fields = dict(get(box, "/hosts/cp2/bmc").forms[0].fields)
    assert (fields["username"], fields["password"]) == ("", "")


def test_the_page_of_a_host_says_why_its_power_cannot_be_changed(box: Appliance):
    page = get(box, "/hosts/cp1")

    assert "No BMC is declared: set hosts.cp1.bmc." in " ".join(page.texts("p"))
    assert NO_BMC in " ".join(page.texts("span"))

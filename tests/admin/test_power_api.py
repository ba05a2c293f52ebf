"""The routes of power and of BMCs on the whole appliance: what they refuse, and that no password comes back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.html_page import HtmlPage
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import AT_FIRST

NO_BMC = "no BMC is declared for cp1; set hosts.cp1.bmc, or press its power button"
SECRET = "it's: a #secret"
WITH_BMCS = """\
  w2: {role: worker, mac: 52:54:00:aa:bb:0a, bmc: "https://192.0.2.202"}
  w3: {role: worker, mac: 52:54:00:aa:bb:0b, bmc: {url: "https://192.0.2.203", certificate: none}}
  w4: {role: worker, mac: 52:54:00:aa:bb:0c, bmc: {url: "https://192.0.2.204", credentials: netboot.db}}
"""
WAIT = "wait_s is seconds, 0 to 25: how long its end is waited for"
HTML = ("Host: localhost", "Accept: text/html")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text() + WITH_BMCS)
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
    status, written = answer(box, "PUT", "/hosts/w2/bmc/credentials", body)

    file = Path(written["file"])
    assert (status, written) == (
        200,
        {
            "host": "w2",
            "file": str(box.directory / "bmc.d" / "w2"),
            "url": "https://192.0.2.202",
            "certificate": "verify",
        },
    )
    assert (file.stat().st_mode & 0o777, file.read_text()) == (
        0o600,
        "username: 'root'\npassword: 'it''s: a #secret'\nurl: 'https://192.0.2.202'\ncertificate: 'verify'\n",
    )
    audit = box.api("GET", "/activity?event=audit.recorded").json()[0]
    assert (audit["data"]["action"], audit["data"]["subject"]) == ("set BMC credentials", "w2")
    assert answer(box, "PUT", "/hosts/w99/bmc/credentials", body)[0] == 404
    for path in ("/hosts/w2", "/hosts/w2/power", "/activity", "/status"):
        assert b"#secret" not in box.api("GET", path).body


@pytest.mark.parametrize(
    ("host", "url", "error"),
    [
        ("cp1", None, "no hosts file names it; set hosts.cp1.bmc first"),
        ("w3", "https://192.0.2.9", "it is https://192.0.2.203 by now, not https://192.0.2.9; look whether that is "
         "right, then set them again"),
        ("w4", None, "the hosts files name another file for it, DIRECTORY/netboot.db; write it by hand, with username, "
         "password, url: https://192.0.2.204, certificate: verify; or remove bmc.credentials of the host"),
    ],
)  # fmt: skip
def test_no_hosts_file_leads_credentials_into_another_file_or_to_another_bmc(
    box: Appliance, host: str, url: str | None, error: str
):
    before = sorted((box.directory / "bmc.d").glob("*")), (box.directory / "netboot.db").stat().st_ino
    body = {"username": "root", "password": SECRET, "url": url}

    status, found = answer(box, "PUT", f"/hosts/{host}/bmc/credentials", body)

    shown = found["error"].replace(str(box.directory), "DIRECTORY")
    assert (status, shown) == (409, f"cannot write the credentials for the BMC of {host}: {error}")
    assert (sorted((box.directory / "bmc.d").glob("*")), (box.directory / "netboot.db").stat().st_ino) == before


def get(box: Appliance, path: str) -> HtmlPage:
    return HtmlPage.of(box.administration("GET", path, headers=HTML).body)


def post(box: Appliance, path: str, body: bytes) -> Response:
    headers = (*HTML, "Content-Type: application/x-www-form-urlencoded")
    return box.administration("POST", path, body, headers=headers)


def test_the_form_of_the_credentials_is_always_empty(box: Appliance):
    page = get(box, "/hosts/w3/bmc")
    (form,) = page.forms
    refused = post(box, "/hosts/w3/bmc", form.body(username="root", password="a\x07b"))
    other = post(box, "/hosts/w3/bmc", form.body(username="root", password=SECRET, bmc="https://192.0.2.9"))
    done = post(box, "/hosts/w3/bmc", form.body(username="root", password=SECRET))

    assert {"https://192.0.2.203", "certificate: none"} <= set(page.texts("code"))
    assert (refused.status, other.status, done.status, done.headers["location"]) == (409, 409, 303, "/hosts/w3")
    assert b"a\x07b" not in refused.body
    assert (box.directory / "bmc.d" / "w3").read_text() == (
        "username: 'root'\npassword: 'it''s: a #secret'\nurl: 'https://192.0.2.203'\ncertificate: 'none'\n"
    )
    fields = dict(get(box, "/hosts/w3/bmc").forms[0].fields)
    assert (fields["username"], fields["password"]) == ("", "")


def test_the_page_of_a_host_says_why_its_power_cannot_be_changed(box: Appliance):
    page = get(box, "/hosts/cp1")

    assert "No BMC is declared: set hosts.cp1.bmc." in " ".join(page.texts("p"))
    assert NO_BMC in " ".join(page.texts("span"))

"""The pages of unregistered machines on the whole appliance in one process: what they show, and their forms."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from safety import wire
from safety.appliance import Appliance, Response, link_shared
from safety.declared import A1, AT_FIRST, POOL, X

HEADERS = ("Host: localhost", "Accept: text/html")
FORM = (*HEADERS, "Content-Type: application/x-www-form-urlencoded")
OTHER = "52:54:00:99:00:01"
HOSTILE = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"
LONG = "x" * 300


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    """An appliance that saw two machines: one with hostile facts, one that only sent its DISCOVER."""
    link_shared(shared, tmp_path)
    (tmp_path / "hosts.d").mkdir()
    box = Appliance(tmp_path, AT_FIRST.text(), unknown="wait", files="hosts.yaml, hosts.d")
    box.dhcp(67, wire.discover(wire.UEFI, X, 7))
    box.dhcp(67, wire.discover(wire.UEFI, X, 8, is_ipxe=True))
    box.dhcp(67, wire.lan_request(X, 8, POOL[0]))
    path = f"/boot/{X.replace(':', '-')}.ipxe"
    box.http("GET", f"{path}?manufacturer={HOSTILE}&product={LONG}&serial=%E2%80%AES1&switch_port=Gi1%2F0%2F7", POOL[0])
    box.dhcp(67, wire.discover(wire.UEFI, OTHER, 9))
    box.advance(5)
    yield box
    box.close()


def get(box: Appliance, path: str) -> Response:
    return box.administration("GET", path, headers=HEADERS)


def page(box: Appliance, path: str) -> str:
    response = get(box, path)
    assert response.status == 200, response.body
    return response.body.decode()


def post(box: Appliance, path: str, fields: list[tuple[str, str]], *, csrf: str | None = None) -> Response:
    """Send a form with the token of the page, or with another one."""
    query = urlencode([(name, value) for name, value in fields if name == "mac"])
    token = re.search(r'name="csrf" value="([^"]*)"', page(box, f"{path}?{query}"))
    assert token is not None
    body = urlencode([*fields, ("csrf", token[1] if csrf is None else csrf)]).encode()
    return box.administration("POST", path, body, headers=FORM)


def words(response: Response | str) -> str:
    html = response if isinstance(response, str) else response.body.decode()
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def files(box: Appliance) -> list[str]:
    return sorted(path.name for path in (box.directory / "hosts.d").iterdir())


def names(box: Appliance) -> list[str]:
    return [host["name"] for host in box.api("GET", "/hosts").json()]


BOTH = [("mac", X), ("mac", OTHER)]


def test_the_list_shows_what_was_seen_escaped_and_short(box: Appliance):
    html = page(box, "/machines")
    found = words(html)

    assert f"{X} <script>alert(1)</script> {'x' * 64} " in found
    assert "Gi1/0/7" in found
    assert POOL[0] in found
    assert OTHER in found
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "x" * 65 not in html


def test_the_filter_is_in_the_url_and_finds_any_text(box: Appliance):
    found = page(box, "/machines?q=gi1%2F0")

    assert (X in found, OTHER in found) == (True, False)
    assert "No machine has this text." in words(page(box, "/machines?q=%3Cnothing%3E"))


def test_a_machine_has_its_own_page(box: Appliance):
    found = words(page(box, f"/machines/{X}"))

    assert "Reported switch port Gi1/0/7" in found
    assert "Boot 1 of 1" in found
    assert "Script wait" in found
    assert "Boot 1 of" in words(page(box, f"/machines/{X}/boots/1"))


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/machines/52:54:00:00:00:77", "no machine with MAC 52:54:00:00:00:77 requested a boot"),
        ("/machines/x<y", "is no MAC"),
        (f"/machines/{X}/boots/7", "no boot 7 of"),
        (f"/machines/{X}/log", "no log of"),
    ],
)
def test_what_is_not_there_is_refused_with_a_sentence(box: Appliance, path: str, sentence: str):
    response = get(box, path)

    assert (response.status, sentence in words(response)) == (404, True)


def test_a_registered_machine_is_on_the_page_of_its_host(box: Appliance):
    response = get(box, f"/machines/{A1}")

    headers = {name.lower(): value for name, value in response.headers.items()}
    assert (response.status, headers["location"]) == (302, "/hosts/cp1")


def test_a_preview_shows_what_would_be_written_and_writes_nothing(box: Appliance):
    response = post(box, "/machines/approve", [*BOTH, ("role", "worker"), ("name", "w{n}"), ("preview", "1")])

    found = words(response)
    assert response.status == 200
    assert "Preview: this would be written" in found
    assert "role: worker" in found
    assert '<option value="worker" selected>' in response.body.decode()  # what was typed stays
    assert (files(box), [name for name in names(box) if name not in ("cp1", "cp2", "w1")]) == ([], [])
    same = {"macs": [X, OTHER], "role": "worker", "name": "w{n}", "dry_run": True}
    answer = box.api("POST", "/machines/approve", same).json()
    assert [each["host"] for each in answer["hosts"] if f"{each['host']} {X}" in found] == ["w2"]
    assert [note for each in answer["machines"] for note in each["notes"] if note not in found] == []


def test_two_machines_are_approved_by_the_form(box: Appliance):
    fields = [*BOTH, ("role", "worker"), ("name", "node-{n}"), ("addresses", "192.0.2.61/24\r\n192.0.2.62/24")]
    response = post(box, "/machines/approve", fields)

    headers = {name.lower(): value for name, value in response.headers.items()}
    assert (response.status, headers["location"]) == (303, "/")
    assert files(box) == ["node-1.yaml", "node-2.yaml"]
    assert {"node-1", "node-2"} <= set(names(box))
    hosts = {host["name"]: host for host in box.api("GET", "/hosts").json()}
    assert (hosts["node-1"]["macs"], hosts["node-1"]["network"]["address"]) == ([X], "192.0.2.61/24")
    box.advance(5)
    audits = [line for line in box.api("GET", "/events?follow=0").body.splitlines() if b"audit.recorded" in line]
    assert b'"approve machines"' in audits[-1]
    assert b'"source": "control-socket"' in audits[-1] or b'"source": "page"' in audits[-1]


@pytest.mark.parametrize("macs", [(X, OTHER), (OTHER, X)])
def test_the_machines_are_listed_in_the_order_in_which_they_get_names_and_addresses(
    box: Appliance, macs: tuple[str, str]
):
    fields = [*(("mac", mac) for mac in macs), ("role", "worker"), ("addresses", "192.0.2.61/24 192.0.2.62/24")]

    response = post(box, "/machines/approve", [*fields, ("preview", "1")])

    preview, table = words(response).split("The machines, in this order")
    assert [preview.index(mac) < preview.index(macs[1]) for mac in macs] == [True, False]
    assert table.index(macs[0]) < table.index(macs[1])
    assert preview.index(f"{macs[0]} ") < preview.index("192.0.2.61/24") < preview.index("192.0.2.62/24")


def test_one_machine_leads_to_its_host(box: Appliance):
    response = post(box, "/machines/approve", [("mac", X), ("role", "worker"), ("name", "solo")])

    headers = {name.lower(): value for name, value in response.headers.items()}
    assert (response.status, headers["location"]) == (303, "/hosts/solo")


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ([("role", "")], 409, "role is one of control-plane, worker"),
        ([("role", "worker"), ("name", "cp1")], 409, "cp1"),
        ([("role", "worker"), ("addresses", "192.0.2.61/24")], 409, "2 machines and 1 addresses"),
        ([("role", "worker"), ("pool", "nosuch")], 422, "nosuch"),
        ([("role", "worker"), ("disk", "{serial: ")], 422, "disk"),
        ([("role", "worker"), ("disk", "relative")], 422, "relative"),
    ],
)
@pytest.mark.parametrize("preview", [[], [("preview", "1")]])
def test_a_refused_form_is_shown_again_with_every_reason(
    box: Appliance, fields: list[tuple[str, str]], status: int, sentence: str, preview: list[tuple[str, str]]
):
    response = post(box, "/machines/approve", [*BOTH, *fields, *preview])

    found = words(response)
    assert (response.status, "Nothing was written" in found) == (status, True)
    assert sentence in found
    assert files(box) == []


def test_a_refusal_is_that_of_the_api(box: Appliance):
    refused = box.api("POST", "/machines/approve", {"macs": [X, OTHER], "role": "worker", "addresses": ["192.0.2.61"]})

    response = post(box, "/machines/approve", [*BOTH, ("role", "worker"), ("addresses", "192.0.2.61")])

    assert (response.status, refused.status) == (409, 409)
    assert refused.json()["error"] in words(response)


@pytest.mark.parametrize("path", ["/machines/approve", "/machines/inspect"])
def test_a_form_without_its_token_changes_nothing(box: Appliance, path: str):
    response = post(box, path, [*BOTH, ("role", "worker")], csrf="0" * 64)

    assert response.status == 403
    assert files(box) == []
    assert all(each["inspection"] is None for each in box.api("GET", "/machines").json())


@pytest.mark.parametrize("path", ["/machines/approve", "/machines/inspect"])
def test_without_a_machine_there_is_nothing_to_confirm(box: Appliance, path: str):
    response = get(box, path)

    assert (response.status, "No machine is selected." in words(response)) == (400, True)


@pytest.mark.parametrize("action", ["approve", "inspect"])
def test_too_many_machines_are_refused(box: Appliance, action: str):
    query = urlencode([("mac", f"52:54:00:98:{number // 256:02x}:{number % 256:02x}") for number in range(501)])

    response = get(box, f"/machines/{action}?{query}")

    assert response.status == 400
    assert "500 machines can be selected at once" in words(response)


def test_an_inspection_that_is_impossible_is_refused_with_its_cure(box: Appliance):
    refusal = "no boot medium is named for it; set hosts.inspect_media"

    assert f"Inspect {refusal}" in words(page(box, f"/machines/{X}"))
    assert refusal in words(page(box, f"/machines/inspect?mac={X}"))
    response = post(box, "/machines/inspect", [("mac", X)])
    assert (response.status, f"cannot inspect {X}: {refusal}" in words(response)) == (409, True)

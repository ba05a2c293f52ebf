"""Every refusal and error of the API, on the whole appliance in one process. tests/safety records the other answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def answer(box: Appliance, method: str, path: str, body: Any = None, **headers: Any) -> tuple[int, Any]:
    response = box.api(method, path, body, **headers)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    return response.status, response.json()


ATTEMPTS = {"error": "attempts is a whole number from 1 to 100"}
HOSTS = {"error": "hosts is a list of names, one at least"}
NO_JSON = {"error": "the body is no JSON"}
NO_OBJECT = {"error": "the body is no JSON object"}
NO_ID = {"error": "after is the id of an event"}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        *[("POST", "/hosts/w1/arm", {"attempts": wrong}, (400, ATTEMPTS)) for wrong in (0, 101, True, 1.0, "1", [])],
        *[("POST", "/installs/arm", wrong, (400, HOSTS)) for wrong in ({}, {"hosts": []}, {"hosts": "w1"})],
        ("POST", "/installs/arm", {"hosts": ["w1", 1]}, (400, HOSTS)),
        ("POST", "/hosts/w1/arm", {"force": 1}, (400, {"error": "force is true or false"})),
        *[("POST", "/hosts/w1/arm", wrong, (400, NO_JSON)) for wrong in (b"{", b"\xff", b"[" * 100_000)],
        *[("POST", "/hosts/w1/cancel", wrong, (400, NO_OBJECT)) for wrong in (b"[]", b"1", b"null")],
        *[("GET", f"/events?follow=0&after={wrong}", None, (400, NO_ID)) for wrong in ("-1", "x", "9" * 19, "1.0")],
        ("GET", "/nothing", None, (404, {"error": "404: Not Found"})),
        ("DELETE", "/hosts", None, (405, {"error": "405: Method Not Allowed"})),
    ],
)
def test_a_request_with_a_wrong_value_is_refused(
    appliance: Appliance, method: str, path: str, body: Any, expected: tuple[int, Any]
):
    assert answer(appliance, method, path, body) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/hosts/nobody"),
        ("GET", "/hosts/nobody/install"),
        ("GET", "/hosts/nobody/history"),
        ("GET", "/events?follow=0&host=nobody"),
        ("POST", "/hosts/nobody/arm"),
        ("POST", "/hosts/nobody/cancel"),
    ],
)
def test_a_host_that_is_not_declared_is_404_on_each_route(appliance: Appliance, method: str, path: str):
    status, body = answer(appliance, method, path)

    assert (status, list(body)) == (404, ["error"])
    assert "nobody" in body["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:9", "null", "http://[::1", "https://localhost.evil.example"]
)
def test_a_page_of_another_site_is_refused(appliance: Appliance, origin: str):
    expected = (403, {"error": f"a page of {origin} may not use this API"})

    assert answer(appliance, "GET", "/hosts", headers=["Host: localhost", f"Origin: {origin}"]) == expected
    assert answer(appliance, "POST", "/hosts/w1/arm", headers=["Host: localhost", f"Origin: {origin}"]) == expected


@pytest.mark.parametrize(
    "headers",
    [
        ["Origin: http://localhost", "Origin: http://evil.example"],
        ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site: same-site"],
    ],
)
def test_what_a_browser_says_of_another_site_is_refused_whatever_else_it_says(appliance: Appliance, headers: list[str]):
    status, refused = answer(appliance, "POST", "/hosts/w1/arm", headers=["Host: localhost", *headers])

    assert (status, list(refused)) == (403, ["error"])
    assert refused["error"].endswith(" may not use this API")


@pytest.mark.parametrize(
    "name",
    ["evil.example", "192.0.2.10:8080", "localhost.evil.example", "127.0.0.2", "evil.example@localhost"],
)
def test_another_name_in_host_is_refused(appliance: Appliance, name: str):
    refused = {"error": "this API answers to localhost, 127.0.0.1 and [::1] only"}

    assert answer(appliance, "GET", "/hosts", headers=[f"Host: {name}"]) == (403, refused)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1:8470", "[::1]:8470", "netboot"])
def test_a_page_of_this_appliance_is_served(appliance: Appliance, name: str):
    status, machines = answer(appliance, "GET", "/machines", headers=[f"Host: {name}", f"Origin: http://{name}"])

    assert (status, machines) == (200, [])


def test_a_request_for_the_daemon_of_another_configuration_is_refused(appliance: Appliance):
    ours = appliance.directory / "netboot.yaml"
    headers = ["Host: localhost", "Netboot-Configuration: /etc/a%20b.yaml"]

    assert answer(appliance, "GET", "/machines", headers=headers) == (
        421,
        {
            "error": f"the daemon that answers runs with {ours}, not with /etc/a b.yaml; "
            f"use --config {ours}, or give each configuration its own admin.socket"
        },
    )
    headers[1] = f"Netboot-Configuration: {ours}"
    assert answer(appliance, "GET", "/machines", headers=headers) == (200, [])


def test_a_host_that_is_not_ready_is_not_armed_and_each_reason_is_given(appliance: Appliance):
    text = AT_FIRST.changed("w1", release="ock-9").text()
    appliance.edit_hosts(text)
    assert appliance.reload() == 200
    try:
        status, body = answer(appliance, "POST", "/installs/arm", {"hosts": ["cp2", "w1"]})
        assert (status, sorted(body)) == (409, ["error", "hosts", "reasons"])
        assert list(body["hosts"]) == ["w1"]
        assert body["reasons"] == body["hosts"]["w1"]
        assert answer(appliance, "GET", "/hosts/cp2/install")[1]["armed"] is False
    finally:
        appliance.edit_hosts(AT_FIRST.text())
        assert appliance.reload() == 200


def test_hosts_files_with_a_fault_are_422_and_the_old_hosts_stay(appliance: Appliance):
    before = answer(appliance, "GET", "/hosts")
    appliance.edit_hosts("hosts: [")
    try:
        status, body = answer(appliance, "POST", "/reload")
    finally:
        appliance.edit_hosts(AT_FIRST.text())

    assert (status, list(body)) == (422, ["error"])
    assert "hosts.yaml:" in body["error"]
    assert answer(appliance, "GET", "/hosts") == before
    assert appliance.reload() == 200


def test_events_on_record_are_sent_as_server_sent_events(appliance: Appliance):
    assert appliance.arm("w1") == appliance.cancel("w1") == 200
    appliance.advance(5)

    response = appliance.api("GET", "/events?follow=0&host=w1")

    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
    heartbeat, *events = response.body.decode().removesuffix("\n\n").split("\n\n")
    assert heartbeat == ": "
    names = []
    for event in events:
        id_, name, data = event.split("\n")
        found = json.loads(data.removeprefix("data: "))
        assert (id_, name) == (f"id: {found['id']}", f"event: {found['event']}")
        names.append(found["event"])
    assert names[-2:] == ["install.moved", "install.moved"]
    last = found["id"]
    assert appliance.api("GET", f"/events?follow=0&after={last}").body == b": \n\n"
    resumed = appliance.api("GET", "/events?follow=0", headers=["Host: localhost", f"Last-Event-ID: {last}"])
    assert resumed.body == b": \n\n"

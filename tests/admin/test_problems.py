"""Every refusal and error of the API, on the whole appliance in one process. tests/safety records the other answers."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures.problems import without_rfc_members
from fixtures.tus_headers import RESUMABLE, continuation, creation, written
from safety import wire
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

UNREGISTERED = "52:54:00:00:00:99"


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    box.dhcp(67, wire.discover(wire.UEFI, UNREGISTERED, 1))
    yield box
    box.close()


def answer(box: Appliance, method: str, path: str, body: Any = None, **headers: Any) -> tuple[int, Any]:
    response = box.api(method, path, body, **headers)
    found, is_refused = response.json(), response.status >= 400
    kind = "problem+json" if is_refused else "json"
    assert response.headers["content-type"] == f"application/{kind}; charset=utf-8"
    return response.status, without_rfc_members(found, response.status)


ATTEMPTS = {"error": "attempts is a whole number from 1 to 100", "code": "bad-request"}
HOSTS = {"error": "hosts is a list of names, one at least", "code": "bad-request"}
ENTRY = {"error": "kind is one of boot medium, release, and name is a name; or neither is given", "code": "bad-request"}
NAME = {
    "error": "'../x' is not a valid name; use letters, digits, dots, dashes, at most 63, a letter or digit first",
    "code": "bad-request",
}
NO_JSON = {"error": "the body is not JSON", "code": "bad-request"}
NO_OBJECT = {"error": "the body is not a JSON object", "code": "bad-request"}
NO_ID = {"error": "after is the id of an event", "code": "bad-request"}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        *[("POST", "/hosts/w1/arm", {"attempts": wrong}, (400, ATTEMPTS)) for wrong in (0, 101, True, 1.0, "1", [])],
        *[("POST", "/installs/arm", wrong, (400, HOSTS)) for wrong in ({}, {"hosts": []}, {"hosts": "w1"})],
        ("POST", "/installs/arm", {"hosts": ["w1", 1]}, (400, HOSTS)),
        ("POST", "/hosts/w1/arm", {"force": 1}, (400, {"error": "force is true or false", "code": "bad-request"})),
        *[("POST", "/hosts/w1/arm", wrong, (400, NO_JSON)) for wrong in (b"{", b"\xff", b"[" * 100_000)],
        *[("POST", "/hosts/w1/cancel", wrong, (400, NO_OBJECT)) for wrong in (b"[]", b"1", b"null")],
        *[("GET", f"/events?follow=0&after={wrong}", None, (400, NO_ID)) for wrong in ("-1", "x", "9" * 19, "1.0")],
        *[
            ("POST", "/content/rescan", wrong, (400, ENTRY))
            for wrong in ({"kind": "iso", "name": "x"}, {"name": "x"}, {"kind": "release", "name": 1})
        ],
        ("POST", "/content/rescan", {"kind": "release", "name": "../x"}, (400, NAME)),
        ("GET", "/nothing", None, (404, {"error": "404: Not Found", "code": "not-found"})),
        ("DELETE", "/hosts", None, (405, {"error": "405: Method Not Allowed", "code": "method-not-allowed"})),
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

    assert (status, list(body), body["code"]) == (404, ["error", "code"], "host-unknown")
    assert "nobody" in body["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:9", "null", "http://[::1", "https://localhost.evil.example"]
)
def test_a_page_of_another_site_is_refused(appliance: Appliance, origin: str):
    expected = (403, {"error": f"a page of {origin} may not use this API", "code": "forbidden"})

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

    assert (status, list(refused), refused["code"]) == (403, ["error", "code"], "forbidden")
    assert refused["error"].endswith(" may not use this API")


@pytest.mark.parametrize(
    "name",
    ["evil.example", "192.0.2.10:8080", "localhost.evil.example", "127.0.0.2", "evil.example@localhost"],
)
def test_another_name_in_host_is_refused(appliance: Appliance, name: str):
    refused = {"error": "this API answers to localhost, 127.0.0.1 and [::1] only", "code": "forbidden"}

    assert answer(appliance, "GET", "/hosts", headers=[f"Host: {name}"]) == (403, refused)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1:8470", "[::1]:8470", "netboot"])
def test_a_page_of_this_appliance_is_served(appliance: Appliance, name: str):
    status, machines = answer(appliance, "GET", "/machines", headers=[f"Host: {name}", f"Origin: http://{name}"])

    assert (status, [machine["mac"] for machine in machines]) == (200, [UNREGISTERED])


def test_a_request_for_the_daemon_of_another_configuration_is_refused(appliance: Appliance):
    ours = appliance.directory / "netboot.yaml"
    headers = ["Host: localhost", "Netboot-Configuration: /etc/a%20b.yaml"]

    assert answer(appliance, "GET", "/machines", headers=headers) == (
        421,
        {
            "error": f"the daemon that answers runs with {ours}, not with /etc/a b.yaml; "
            f"use --config {ours}, or give each configuration its own admin.socket",
            "code": "misdirected-request",
        },
    )
    headers[1] = f"Netboot-Configuration: {ours}"
    assert answer(appliance, "GET", "/machines", headers=headers)[0] == 200


def test_a_host_that_is_not_ready_is_not_armed_and_each_reason_is_given(appliance: Appliance):
    text = AT_FIRST.changed("w1", release="ock-9").text()
    appliance.edit_hosts(text)
    assert appliance.reload() == 200
    try:
        status, body = answer(appliance, "POST", "/installs/arm", {"hosts": ["cp2", "w1"]})
        assert (status, sorted(body)) == (409, ["code", "error", "hosts", "reasons"])
        assert body["code"] == "arming-refused"
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

    assert (status, list(body), body["code"]) == (422, ["error", "code", "faults"], "configuration-faulty")
    assert [Path(fault["file"]).name for fault in body["faults"]] == ["hosts.yaml"]
    assert body["error"].startswith(f"{body['faults'][0]['file']}:1:{body['faults'][0]['column']}: ")
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


def test_metrics_are_exposed_as_prometheus_reads_them(appliance: Appliance):
    response = appliance.administration("GET", "/metrics")

    assert (response.status, response.headers["content-type"]) == (200, "text/plain; version=1.0.0; charset=utf-8")
    lines = response.body.decode().splitlines()
    assert "# TYPE netboot_http_malformed_total counter" in lines
    assert "netboot_http_malformed_total 0.0" in lines


def test_a_store_that_fails_is_503_and_the_status_is_answered_with_the_reason(appliance: Appliance):
    with appliance.failing_store():
        answers = [answer(appliance, "GET", "/installs"), answer(appliance, "POST", "/hosts/w1/arm", {})]
    with appliance.failing_store("events"):
        status, report = answer(appliance, "GET", "/status")
        events = answer(appliance, "GET", "/events?follow=0")

    assert [status for status, _ in (*answers, events)] == [503] * 3
    assert [body["error"].startswith("the store") for _, body in (*answers, events)] == [True] * 3
    assert [body["code"] for _, body in (*answers, events)] == ["store-unavailable"] * 3
    assert (status, report["store"]) == (200, events[1]["error"])
    assert "last_event_id" not in report
    assert answer(appliance, "GET", "/hosts/cp1/install")[0] == 200


def test_an_install_is_shown_from_memory_with_the_cause_while_the_store_fails(appliance: Appliance):
    with appliance.failing_store():
        status, install = answer(appliance, "GET", "/hosts/cp1/install")
        unknown, _ = answer(appliance, "GET", "/hosts/removed/install")

    assert (status, unknown) == (200, 503)
    assert (install["state"], install["armed"]) == ("registered", False)
    assert install["cause"]["name"] == install["blocked"]["reason"] == "store-unreachable"
    assert install["cause"]["severity"] == "error"
    assert install["cause"]["sentence"].startswith("the store")
    assert install["cause"]["cure"]


NO_UPLOAD = {"error": "no such upload; POST /api/v1/uploads begins one", "code": "not-found"}
NO_OFFSET = {
    "error": "Upload-Offset is the offset of the first byte; HEAD returns the upload's offset",
    "code": "bad-request",
}
LENGTH = {"error": "Upload-Length must be the file's size in bytes", "code": "bad-request"}
KIND = {"error": "the metadata kind must be one of iso, archive, image, images", "code": "bad-request"}
VERSION = {
    "error": "uploads use the protocol tus 1.0.0: send the header Tus-Resumable: 1.0.0",
    "code": "precondition-failed",
}
BYTES = {
    "error": "the bytes of an upload have the Content-Type application/offset+octet-stream",
    "code": "unsupported-media-type",
}


def sending(headers: dict[str, str]) -> dict[str, list[str]]:
    return {"headers": ["Host: localhost", *written(headers)]}


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("POST", "", creation(1, kind="floppy"), (400, KIND)),
        ("POST", "", creation(1), (400, KIND)),
        *[("POST", "", creation(wrong, kind="iso"), (400, LENGTH)) for wrong in ("-1", "1.0", "", "x", "9" * 5000)],
        ("POST", "", creation(0, kind="iso"), (400, LENGTH | {"error": "the length must be the file's size in bytes"})),
        ("GET", f"/{'0' * 32}", {}, (404, NO_UPLOAD)),
        ("GET", "/nonsense", {}, (404, NO_UPLOAD)),
        ("DELETE", f"/{'0' * 32}", RESUMABLE, (404, NO_UPLOAD)),
        ("PATCH", f"/{'0' * 32}", continuation(0), (404, NO_UPLOAD)),
        ("PATCH", f"/{'0' * 32}", continuation(""), (400, NO_OFFSET)),
        ("PATCH", f"/{'0' * 32}", RESUMABLE | {"Upload-Offset": "0"}, (415, BYTES)),
        ("POST", f"/{'0' * 32}", RESUMABLE | {"X-HTTP-Method-Override": "DELETE"}, (404, NO_UPLOAD)),
        *[
            (method, path, {"Upload-Length": "1", **version}, (412, VERSION))
            for method, path in (("POST", ""), ("PATCH", f"/{'0' * 32}"), ("DELETE", f"/{'0' * 32}"))
            for version in ({}, {"Tus-Resumable": "0.2.2"})
        ],
    ],
)
def test_an_upload_request_with_a_fault_is_refused(
    appliance: Appliance, method: str, path: str, headers: dict[str, str], expected: tuple[int, Any]
):
    assert answer(appliance, method, f"/uploads{path}", **sending(headers)) == expected


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("kind %%%", "the value of 'kind' is not UTF-8 in base64"),
        ("kind aXN", "the value of 'kind' is not UTF-8 in base64"),
        ("kind /w==", "the value of 'kind' is not UTF-8 in base64"),
        ("kind aXNv,kind aXNv", "the key 'kind' is empty, not ASCII, or written twice"),
        ("kind aXNv,", "the key '' is empty, not ASCII, or written twice"),
    ],
)
def test_metadata_that_is_malformed_is_refused_with_the_key(appliance: Appliance, metadata: str, reason: str):
    headers = creation(1) | {"Upload-Metadata": metadata}

    assert answer(appliance, "POST", "/uploads", **sending(headers)) == (
        400,
        {
            "error": f"Upload-Metadata is malformed: {reason}; it has the form kind BASE64,name BASE64",
            "code": "bad-request",
        },
    )


def test_an_archive_without_a_name_and_an_upload_without_space_are_refused(appliance: Appliance):
    without_name = answer(appliance, "POST", "/uploads", **sending(creation(1, kind="archive")))
    without_space = answer(appliance, "POST", "/uploads", **sending(creation(1 << 39, kind="iso")))
    beyond = answer(appliance, "POST", "/uploads", **sending(creation((1 << 40) + 1, kind="iso")))

    assert without_name == (
        400,
        {"error": "an archive needs a name, for example ock-1.31-amd64: the file contains none", "code": "bad-request"},
    )
    assert (without_space[0], without_space[1]["code"]) == (507, "insufficient-storage")
    assert without_space[1]["error"].startswith(f"{1 << 39} bytes do not fit: ")
    assert (beyond[0], beyond[1]["code"]) == (413, "content-too-large")


def test_an_upload_is_begun_listed_continued_at_its_offset_only_and_removed(appliance: Appliance):
    metadata = creation(10, kind="iso", name="ol9", filename="x.iso")
    begun = appliance.api("POST", "/uploads", **sending(metadata))
    upload = begun.json()
    path = f"/uploads/{upload['id']}"

    assert (begun.status, begun.headers["location"]) == (201, f"/api/v1{path}")
    assert (upload["kind"], upload["length"], upload["name"], upload["state"]) == ("iso", 10, "ol9", "receiving")
    sent = appliance.api("PATCH", path, b"data", **sending(continuation(0)))
    assert (sent.status, sent.headers["upload-offset"], sent.headers["upload-length"]) == (204, "4", "10")
    again = appliance.api("PATCH", path, b"data", **sending(continuation(0)))
    conflict = {"error": "the offset of the upload is 4, not 0; continue from there", "code": "conflict"}
    assert (again.status, without_rfc_members(again.json(), 409)) == (409, conflict)
    too_long = appliance.api("PATCH", path, b"longer!", **sending(continuation(4)))
    assert (too_long.status, without_rfc_members(too_long.json(), 400)) == (
        400,
        {"error": "11 bytes are more than the announced 10", "code": "bad-request"},
    )
    shown = appliance.api("GET", path)
    expires_at = shown.json()["expires_at"]
    assert (shown.headers["upload-offset"], shown.json()) == ("4", {**upload, "offset": 4, "expires_at": expires_at})
    assert appliance.api("GET", "/uploads").json() == [shown.json()]
    headed = appliance.api("HEAD", path, **sending(RESUMABLE))
    assert (headed.status, headed.headers["upload-offset"], headed.headers["upload-length"]) == (200, "4", "10")
    assert (headed.headers["upload-metadata"], headed.headers["cache-control"]) == (
        metadata["Upload-Metadata"],
        "no-store",
    )
    assert parsedate_to_datetime(headed.headers["upload-expires"]) == datetime.fromisoformat(expires_at)
    overridden = appliance.api("POST", path, b"by", **sending(continuation(4) | {"X-HTTP-Method-Override": "PATCH"}))
    assert (overridden.status, overridden.headers["upload-offset"]) == (204, "6")
    assert appliance.api("DELETE", path, **sending(RESUMABLE)).status == 204
    assert appliance.api("GET", "/uploads").json() == []


def test_an_upload_may_begin_with_bytes_and_every_answer_names_the_version(appliance: Appliance):
    headers = creation(10, kind="iso") | {"Content-Type": "application/offset+octet-stream"}
    begun = appliance.api("POST", "/uploads", b"data", **sending(headers))
    too_long = appliance.api("POST", "/uploads", b"01234567890", **sending(headers))
    described = appliance.api("OPTIONS", "/uploads")
    other = appliance.api("POST", "/uploads", **sending({"Tus-Resumable": "2.0.0"}))

    assert (begun.status, begun.headers["upload-offset"], begun.json()["offset"]) == (201, "4", 4)
    assert (too_long.status, [found["offset"] for found in appliance.api("GET", "/uploads").json()]) == (400, [4])
    assert (described.status, described.headers["tus-version"], described.headers["tus-max-size"]) == (
        204,
        "1.0.0",
        str(1 << 40),
    )
    assert described.headers["tus-extension"] == "creation,creation-with-upload,expiration,termination"
    assert other.headers["tus-version"] == "1.0.0"
    assert {found.headers["tus-resumable"] for found in (begun, too_long, described, other)} == {"1.0.0"}
    assert appliance.api("DELETE", f"/uploads/{begun.json()['id']}", **sending(RESUMABLE)).status == 204


def test_every_view_of_a_host_that_was_armed_and_cancelled_is_answered(appliance: Appliance):
    of_other_tests = answer(appliance, "GET", "/hosts/cp2/history")[1]
    armed = answer(appliance, "POST", "/hosts/cp2/arm", {"reason": "a test"})
    cancelled = answer(appliance, "POST", "/hosts/cp2/cancel", {"reason": "no longer"})

    assert (armed[0], armed[1]["armed"], armed[1]["arming"]["reason"]) == (200, True, "a test")
    assert (cancelled[0], cancelled[1]["armed"], cancelled[1]["notes"]) == (
        200,
        False,
        ["cp2 is not armed; it boots its own disk"],
    )
    status, moves = answer(appliance, "GET", "/hosts/cp2/history")
    assert (status, moves[: len(of_other_tests)]) == (200, of_other_tests)
    added = [(move["what"], move["note"]) for move in moves[len(of_other_tests) :]]
    assert added == [("armed", "a test"), ("cancelled", "no longer")]
    status, host = answer(appliance, "GET", "/hosts/cp2")
    assert (status, host["name"], host["install"]["armed"]) == (200, "cp2", False)


def test_events_are_followed_until_the_client_goes(appliance: Appliance):
    answers = appliance.api("GET", "/events?host=w1")

    assert (answers.status, answers.headers["content-type"]) == (200, "text/event-stream")
    assert answers.body.startswith(b": \n\n")


def test_one_release_is_read_again_and_the_others_are_not(appliance: Appliance):
    _, before = answer(appliance, "GET", "/status")
    releases = appliance.directory / "content" / "ostree"
    for name in ("read-again", "not-read"):
        shutil.copytree(releases / before["releases"][0], releases / name)

    status, body = answer(appliance, "POST", "/content/rescan", {"kind": "release", "name": "read-again"})

    served = sorted([*before["releases"], "read-again"])
    assert (status, body) == (
        200,
        {"media": before["media"], "releases": served, "problems": [], "armings_ended": []},
    )


def test_a_client_of_events_that_does_not_read_delays_no_request_and_is_disconnected_and_counted(appliance: Appliance):
    stalled = appliance.stalled_client("/events")
    for _ in range(90):  # more than 64 KiB of events, which aiohttp holds for a client
        assert answer(appliance, "POST", "/hosts/cp2/arm", {"reason": "x" * 500})[0] == 200
        assert answer(appliance, "POST", "/hosts/cp2/cancel", {})[0] == 200
    appliance.advance(29)
    was_closed = stalled.is_closing()

    appliance.advance(2)

    metrics = appliance.administration("GET", "/metrics").body.decode()
    assert (was_closed, stalled.is_closing()) == (False, True)
    assert "netboot_event_clients_dropped_total 1.0" in metrics
    assert 'netboot_events_total{event="install.moved"}' in metrics

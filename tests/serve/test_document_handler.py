"""Each route, refusal and error of the boot LAN's documents, on the whole appliance in one process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from safety import wire
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import A1, AT_FIRST, REGISTERED_ADDRESS

from netboot.serve.boot_http.document_handler import REPORT_TIMEOUT_S

UNAUTHORISED = "192.0.2.53"
UNKNOWN_TOKEN = "0" * 32


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shared")
    prepare(directory)
    return directory


@pytest.fixture
def appliance(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    """An appliance on which cp1 is armed and has announced itself."""
    link_shared(shared, tmp_path)
    box = Appliance(tmp_path, AT_FIRST.text())
    assert box.arm("cp1") == 200
    box.dhcp(67, wire.discover(wire.UEFI, A1, 1))
    box.dhcp(67, wire.lan_request(A1, 1, REGISTERED_ADDRESS))
    yield box
    box.close()


def request(
    box: Appliance, method: str, path: str, body: bytes = b"", *, address: str = REGISTERED_ADDRESS
) -> tuple[int, bytes]:
    response = box.http(method, path, address, body)
    assert response.headers.get("cache-control") == "no-store"
    return response.status, response.body


def kickstart_path(box: Appliance) -> str:
    return f"/ks/{wire.installer_token(box.http('GET', f'/boot/{A1}.ipxe', REGISTERED_ADDRESS).body)}"


def kickstart(box: Appliance) -> bytes:
    return box.http("GET", kickstart_path(box), REGISTERED_ADDRESS).body


def test_health_is_answered_to_every_address_without_names_and_reasons(appliance: Appliance):
    status, body = request(appliance, "GET", "/healthz", address=UNAUTHORISED)

    found = json.loads(body)
    assert (status, found["status"], set(found["parts"].values())) == (200, "ok", {"ok"})
    assert {"store", "content", "configuration", "interface", "dhcp", "tftp", "http"} <= found["parts"].keys()


def test_health_of_a_rejected_configuration_is_degraded_and_served(appliance: Appliance):
    appliance.edit_hosts("hosts: [")
    assert appliance.reload() == 422

    status, body = request(appliance, "GET", "/healthz", address=UNAUTHORISED)

    assert (status, json.loads(body)["status"], json.loads(body)["parts"]["configuration"]) == (
        200,
        "degraded",
        "degraded",
    )


@pytest.mark.parametrize("path", [f"/ks/{UNKNOWN_TOKEN}", f"/ign/{UNKNOWN_TOKEN}", f"/ign/{UNKNOWN_TOKEN}/role"])
def test_an_unknown_token_is_not_found(appliance: Appliance, path: str):
    assert request(appliance, "GET", path) == (404, b"not found\n")
    assert request(appliance, "HEAD", path) == (404, b"")


@pytest.mark.parametrize("event", ["started", "failed", "done", "ready", "nonsense"])
def test_a_report_with_an_unknown_token_is_not_found(appliance: Appliance, event: str):
    assert request(appliance, "POST", f"/report/{UNKNOWN_TOKEN}/{event}") == (404, b"not found\n")


def test_documents_of_another_address_are_forbidden_and_stay_available(appliance: Appliance):
    path = kickstart_path(appliance)

    assert request(appliance, "GET", path, address=UNAUTHORISED) == (403, b"forbidden\n")

    status, document = request(appliance, "GET", path)
    assert (status, wire.report_token(document) != "") == (200, True)
    ignition = f"/ign/{wire.ignition_token(document)}"
    assert request(appliance, "GET", ignition, address=UNAUTHORISED) == (403, b"forbidden\n")
    report = f"/report/{wire.report_token(document)}/started"
    assert request(appliance, "POST", report, address=UNAUTHORISED) == (403, b"forbidden\n")
    assert request(appliance, "POST", report) == (200, b"taken\n")


def test_a_head_request_has_the_length_of_the_document_and_spends_nothing(appliance: Appliance):
    path = kickstart_path(appliance)

    head = appliance.http("HEAD", path, REGISTERED_ADDRESS)

    document = appliance.http("GET", path, REGISTERED_ADDRESS)
    the_second = {"date": document.headers["date"]}  # the two requests may lie on both sides of one
    assert (head.status, head.body, head.headers | the_second) == (200, b"", document.headers)
    assert int(document.headers["content-length"]) == len(document.body)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", f"/ks/{UNKNOWN_TOKEN}", "GET,HEAD"),
        ("PUT", f"/ign/{UNKNOWN_TOKEN}", "GET,HEAD"),
        ("GET", f"/report/{UNKNOWN_TOKEN}/done", "POST"),
        ("POST", f"/boot/{A1}.ipxe", "GET,HEAD"),
        ("DELETE", "/healthz", "GET,HEAD"),
    ],
)
def test_another_method_is_refused_with_those_that_are_allowed(
    appliance: Appliance, method: str, path: str, allowed: str
):
    response = appliance.http(method, path, REGISTERED_ADDRESS)

    assert (response.status, response.headers["allow"], response.body) == (405, allowed, b"method not allowed\n")


@pytest.mark.parametrize("path", ["/", "/nothing", "/ks/", "/ign/a/b", "/report/a"])
def test_another_path_is_not_found(appliance: Appliance, path: str):
    response = appliance.http("GET", path, REGISTERED_ADDRESS)

    assert (response.status, response.body) == (404, b"not found\n")


def test_a_document_whose_file_cannot_be_read_is_503_with_a_time_to_retry(appliance: Appliance):
    document = kickstart(appliance)
    appliance.http("POST", f"/report/{wire.report_token(document)}/done", REGISTERED_ADDRESS)
    path = f"/ign/{wire.ignition_token(document)}/role"
    (appliance.directory / "ign").unlink()

    response: Response = appliance.http("GET", path, REGISTERED_ADDRESS)

    assert (response.status, response.headers["retry-after"], response.body) == (503, "5", b"not now\n")


def test_documents_and_reports_are_503_while_the_store_fails_and_available_again_after(appliance: Appliance):
    path = kickstart_path(appliance)
    document = appliance.http("GET", path, REGISTERED_ADDRESS).body
    requests = [
        ("POST", f"/report/{wire.report_token(document)}/started"),
        ("GET", f"/ign/{wire.ignition_token(document)}"),
        ("GET", path),
    ]

    with appliance.failing_store():
        failed = [appliance.http(method, path, REGISTERED_ADDRESS) for method, path in requests]

    not_now = (503, "5", "no-store", b"not now\n")
    assert [
        (each.status, each.headers["retry-after"], each.headers["cache-control"], each.body) for each in failed
    ] == [not_now] * 3
    assert [request(appliance, method, path)[0] for method, path in requests] == [200, 200, 404]  # it has started


def test_a_script_is_one_that_waits_while_the_store_fails(appliance: Appliance):
    with appliance.failing_store():
        status, script = request(appliance, "GET", f"/boot/{A1}.ipxe")

    assert status == 200
    assert b"store" in script
    assert b"kernel" not in script


REPORT = f"POST /report/{UNKNOWN_TOKEN}/failed HTTP/1.1\r\nHost: x\r\n".encode()


def test_a_report_whose_length_is_not_stated_is_refused_when_it_is_too_long(appliance: Appliance):
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"

    answer = appliance.http_bytes(REPORT + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17, REGISTERED_ADDRESS)

    assert answer.startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")
    assert answer.endswith(b"\r\n\r\nrequest entity too large\n")


def test_a_report_whose_body_does_not_end_is_refused_after_its_timeout(appliance: Appliance):
    begun = REPORT + b"Content-Length: 100\r\n\r\nhalf"

    assert appliance.http_bytes(begun, REGISTERED_ADDRESS, wait_s=REPORT_TIMEOUT_S - 1) == b""
    answer = appliance.http_bytes(begun, REGISTERED_ADDRESS, wait_s=REPORT_TIMEOUT_S + 1)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nthe report has no end\n")


def test_a_body_that_is_not_chunked_as_its_head_states_is_refused_in_our_words(appliance: Appliance):
    answer = appliance.http_bytes(REPORT + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", REGISTERED_ADDRESS)

    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\n400 Bad Request: this is not an HTTP request\n")


CHECKS = b"netboot-checks 1\nfirmware pass UEFI\ndisk pass sda\nmembers pass none\n"


def test_checks_that_passed_are_accepted_and_a_failed_one_is_a_conflict_with_its_reason(appliance: Appliance):
    path = f"/report/{wire.report_token(kickstart(appliance))}/checks"

    assert request(appliance, "POST", path, CHECKS) == (200, b"taken\n")
    failed = CHECKS + b"memory fail 512 MiB\nntp fail no answer\n"
    assert request(appliance, "POST", path, failed) == (409, b"512 MiB\nno answer\n")
    assert request(appliance, "POST", path, CHECKS) == (404, b"not found\n")  # it waits for another arming


@pytest.mark.parametrize(
    "body", [b"", b"all is well\n", CHECKS + b"own ok x\n", CHECKS + b"\xff\n", CHECKS + b"x pass y\n" * 20_000]
)
def test_checks_that_cannot_be_read_are_a_bad_request_that_changes_nothing(appliance: Appliance, body: bytes):
    path = f"/report/{wire.report_token(kickstart(appliance))}/checks"

    status, answer = request(appliance, "POST", path, body)

    assert (status, answer.startswith((b"the report of the checks ", b"a line of "))) == (400, True)
    metrics = appliance.administration("GET", "/metrics").body
    assert b'netboot_http_requests_total{area="report",status="400"} 1.0' in metrics
    assert request(appliance, "POST", path, CHECKS) == (200, b"taken\n")


def test_checks_wait_for_the_store_and_need_the_machines_own_address(appliance: Appliance):
    path = f"/report/{wire.report_token(kickstart(appliance))}/checks"

    assert request(appliance, "POST", path, CHECKS, address=UNAUTHORISED) == (403, b"forbidden\n")
    assert request(appliance, "POST", f"/report/{UNKNOWN_TOKEN}/checks", CHECKS) == (404, b"not found\n")
    with appliance.failing_store():
        assert request(appliance, "POST", path, CHECKS) == (503, b"not now\n")

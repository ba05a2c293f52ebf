"""Each route, refusal and error of the boot LAN's documents, on the whole appliance in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from safety import wire
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import A1, AT_FIRST, REGISTERED_ADDRESS

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


def test_health_is_answered_to_every_address(appliance: Appliance):
    assert request(appliance, "GET", "/healthz", address=UNAUTHORISED) == (200, b"ok\n")


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

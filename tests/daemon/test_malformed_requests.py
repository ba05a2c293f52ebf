"""Malformed requests to the administration are refused with a sentence, change nothing, and cause no fault."""

import http.client
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.files import SETTINGS, write_files
from fixtures.page_routes import page_routes
from fixtures.rack import Rack, running

from netboot.operate.actions.host_verbs import HostVerb

pytestmark = pytest.mark.integration

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data; boundary=x"
BODIES: Final[dict[str, tuple[str, bytes]]] = {
    "no JSON": (JSON, b"{"),
    "a list": (JSON, b"[]"),
    "a number": (JSON, b"1e999"),
    "null": (JSON, b"null"),
    "not UTF-8": (JSON, b'{"hosts": ["\xff\xfe"]}'),
    "an unknown character set": (f"{JSON}; charset=none", b"{}"),
    "UTF-16": (f"{JSON}; charset=utf-16", b"{}"),
    "100,000 brackets": (JSON, b"[" * 100_000),
    "100,000 objects": (JSON, b'{"a":' * 100_000),
    "an unknown member": (JSON, b'{"hosts": ["cp1"], "machine": "cp1", "unknown": 1}'),
    "values of other types": (
        JSON,
        b'{"hosts": {"cp1": 1}, "macs": 7, "role": [], "name": null, "values": "x", "machine": {}, "reason": [],'
        b' "force": "yes", "attempts": "many", "medium": 1, "wipe": 5}',
    ),
    "a surrogate": (JSON, b'{"hosts": ["\\ud800"], "macs": ["\\ud800"], "machine": "\\ud800", "name": "\\ud800"}'),
    "a zero byte": (
        JSON,
        b'{"hosts": ["cp1\\u0000"], "machine": "cp1\\u0000", "macs": ["\\u0000"], "role": "\\u0000"}',
    ),
    "2 MiB of text": (JSON, b'{"reason": "' + b"x" * (2 << 20) + b'", "hosts": ["cp1"]}'),
    "a form": (FORM, b"hosts=cp1&machine=cp1"),
    "a broken multipart": (MULTIPART, b"--x\r\nContent-Disposition: form-data; name=hosts"),
    "no multipart": ("multipart/form-data", b"hosts"),
    "a compressed body that is not": (JSON, b"\x1f\x8b\x00"),
}
FIELDS: Final = {
    "none": b"",
    "values of no use": b"&host=%00&seen=1&confirm=1&attempts=-1&reason=%FF%FE&mac=x&role=%0A&name=%2e%2e&kind=x",
    "an old confirmation": b"&host=cp1&seen=0123456789abcdef&force=1",
    "a thousand hosts": b"&host=cp1" * 1_000,
    "a thousand machines": b"&mac=52:54:00:00:00:01" * 1_000,
}
NO_FIELDS: Final = {
    "/appliance/check",
    "/appliance/reload",
    "/content/-/collect",
    "/content/-/verify",
    "/hosts/cp1/power",
    "/logout",
}
ONLY_SHOW: Final = re.compile(r"/rack\.csv|/(hosts/cp1|installs)/[a-z-]+")  # unless the form is a confirmation
REFUSED: Final = range(400, 423)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = SETTINGS.replace("[hosts.yaml]", "[hosts.yaml, hosts.d]")
    directory = write_files(tmp_path_factory.mktemp("malformed"), settings=settings)
    (directory / "hosts.d").mkdir()
    return directory


@pytest.fixture(scope="module")
def rack(directory: Path) -> Any:
    with running(directory) as rack:
        yield rack


def send(rack: Rack, method: str, path: str, body: bytes, **headers: str) -> tuple[int, str, bytes]:
    """Send a request to the appliance's loopback; return status, type and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", 8470, timeout=20)
    connection.sock = rack.server_socket()
    connection.sock.settimeout(20)
    connection.sock.connect(("127.0.0.1", 8470))
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read()
    finally:
        connection.close()


def changes(rack: Rack) -> list[tuple[str, str]]:
    """List each operation of the API that takes JSON, on cp1."""
    described = rack.api("/api/v1/openapi.json")["paths"].items()
    found = [
        (method.upper(), re.sub(r"{\w+}", "cp1", path))
        for path, methods in described
        for method, operation in methods.items()
        if JSON in operation.get("requestBody", {}).get("content", {})
    ]
    assert ("POST", "/api/v1/installs/arm") in found
    return found


def state(rack: Rack) -> object:
    """Return what a change would change."""
    found = rack.api("/api/v1/hosts")
    return [(each["name"], each["install"]["armed"], each["next_boot"]) for each in found]


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_refused_with_a_sentence_and_changes_nothing(rack: Rack, name: str):
    before, content_type, body = state(rack), *BODIES[name]
    extra = {"Content_Encoding": "gzip"} if "compressed" in name else {}
    faults = []
    for method, path in changes(rack):
        status, kind, answer = send(rack, method, path, body, Content_Type=content_type, **extra)
        if status not in REFUSED or kind != "application/problem+json" or not json.loads(answer)["detail"]:
            faults.append((method, path, status, kind, answer[:200]))

    assert faults == []
    assert state(rack) == before
    assert_no_fault_of_ours(rack)


@pytest.mark.parametrize("name", [each for each, (kind, _) in BODIES.items() if kind != JSON])
def test_a_malformed_form_is_refused_on_every_page(rack: Rack, name: str):
    before, content_type, body = state(rack), *BODIES[name]
    faults = []
    for route in page_routes("post"):
        for path in paths_of(route):
            status, kind, answer = send(rack, "POST", path, body, Content_Type=content_type, Accept="text/html")
            if status not in REFUSED or kind != "text/html":
                faults.append((path, status, kind, answer[:200]))

    assert faults == []
    assert state(rack) == before
    assert_no_fault_of_ours(rack)


@pytest.mark.parametrize("name", FIELDS)
def test_a_form_with_other_fields_than_those_of_its_page_changes_nothing(rack: Rack, name: str):
    """The form has the token of a page, as one that an operator changed or that is old."""
    before = state(rack)
    _, _, page = send(rack, "GET", "/", b"", Accept="text/html")
    token = page.partition(b'name="csrf" value="')[2].partition(b'"')[0] or page.partition(b'data-csrf="')[2][:64]
    faults = []
    for route in page_routes("post"):
        for path in paths_of(route):
            body = b"csrf=" + token + FIELDS[name]
            status, kind, answer = send(rack, "POST", path, body, Content_Type=FORM, Accept="text/html")
            if status == 303 and path in NO_FIELDS:
                continue
            if status == 200 and ONLY_SHOW.fullmatch(path) and (b"&seen=" not in body or path == "/rack.csv"):
                continue
            if status not in REFUSED or kind != "text/html":
                faults.append((path, status, kind, answer[:200]))

    assert faults == []
    assert state(rack) == before
    assert_no_fault_of_ours(rack)


def paths_of(route: str) -> list[str]:
    """Write the paths of a route: one for each action on hosts; every name is cp1."""
    actions = [verb.value for verb in HostVerb] if "{action}" in route else [""]
    return [re.sub(r"{\w+}", "cp1", route.replace("{action}", action)) for action in actions]


def assert_no_fault_of_ours(rack: Rack) -> None:
    assert "Traceback" not in rack.log
    assert rack.lines("api.failed") == []

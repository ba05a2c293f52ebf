"""Ignition files of a cluster by the API and its page, on the whole appliance in one process."""

from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.html_page import HtmlPage
from fixtures.problems import without_rfc_members
from fixtures.role_files import SAMPLES, altered
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import AT_FIRST

from netboot.operate.cluster.role_file_uses import LARGEST_BYTES

HTML = ("Host: localhost", "Accept: text/html")
PAGE = "/cluster/ignition/worker"
NEW = altered("worker-join.ign", {"c0ntrl": "renewd", "w0rker": "renewd"})


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance with the Ignition files of the samples."""
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    for path in (shared / "ign").iterdir():
        path.write_bytes((SAMPLES / path.name).read_bytes())
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def put(box: Appliance, use: str, content: bytes) -> tuple[int, Any]:
    response = box.api("PUT", f"/cluster/ignition/{use}", content)
    return response.status, without_rfc_members(response.json(), response.status)


def worker_file(box: Appliance) -> bytes:
    return (box.directory / "ign" / "worker-join.ign").read_bytes()


def send(box: Appliance, content: bytes | None, path: str = PAGE) -> Response:
    """Send a file by the form of the page, or the form without one."""
    ((_, csrf),) = HtmlPage.of(box.administration("GET", PAGE, headers=HTML).body).forms[-1].fields[:1]
    parts = [b'Content-Disposition: form-data; name="csrf"\r\n\r\n' + csrf.encode()]
    if content is not None:
        parts.append(b'Content-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + content)
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return box.administration("POST", path, body, headers=(*HTML, "Content-Type: multipart/form-data; boundary=x"))


def test_a_file_is_taken_byte_for_byte_and_listed_without_its_secrets(box: Appliance):
    status, taken = put(box, "worker?renewed=1", NEW)
    listed = box.api("GET", "/cluster/ignition")

    assert (status, taken["put_aside"], taken["kept"], worker_file(box)) == (200, [], None, NEW)
    assert taken["file"]["uses"] == ["worker"]
    assert [each["uses"] for each in listed.json()] == [["init"], ["control-plane"], ["worker"]]
    assert listed.json()[2] == taken["file"]
    assert b"renewd" not in listed.body


@pytest.mark.parametrize(
    ("use", "content", "status", "code"),
    [
        ("nobody", b"x", 404, "not-found"),
        ("join", b"x", 404, "not-found"),
        ("worker?renewed=x", b"x", 400, "bad-request"),
        ("worker", b"time=2026 level=info\n", 422, "role-file-refused"),
        ("init", NEW, 422, "role-file-refused"),
        ("worker", b" " * (LARGEST_BYTES + 1), 413, "content-too-large"),
    ],
)
def test_another_file_is_refused_and_the_one_in_place_stays(
    box: Appliance, use: str, content: bytes, status: int, code: str
):
    before = worker_file(box)

    found, error = put(box, use, content)

    assert (found, error["code"], worker_file(box)) == (status, code, before)


def test_the_page_takes_a_file_and_refuses_a_form_without_one(box: Appliance):
    missing = send(box, None)
    unknown = box.administration("GET", "/cluster/ignition/nobody", headers=HTML)
    taken = send(box, NEW)

    assert (missing.status, HtmlPage.of(missing.body).texts("div", role="alert")) == (
        400,
        ["choose the file that ocne printed"],
    )
    assert (unknown.status, HtmlPage.of(unknown.body).texts("div", role="alert")) == (
        404,
        ["there is no such use; init, control-plane, worker"],
    )
    assert (taken.status, taken.headers["location"], worker_file(box)) == (303, "/cluster", NEW)


def test_the_page_shows_why_the_hosts_in_force_stay_after_a_file_was_taken(box: Appliance):
    box.edit_hosts(AT_FIRST.text() + "surplus: 1\n")

    taken = send(box, NEW)
    shown = box.administration("GET", "/cluster", headers=(*HTML, f"Cookie: {taken.headers['set-cookie']}"))

    assert worker_file(box) == NEW
    notices = HtmlPage.of(shown.body).texts("p", class_="warning")
    (kept,) = [each for each in notices if "The daemon keeps the hosts that it has, because of other faults: " in each]
    assert "surplus" in kept

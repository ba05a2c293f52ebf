"""The registry through the engine: errors as distribution-spec has them, on connections that stay open."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from fixtures.listeners import default_shares
from fixtures.stored_images import MadeImage, an_image, store_image

from netboot.content.serving.image_index import ImageFault
from netboot.content.serving.index import ContentIndex
from netboot.model.release import ContentKind
from netboot.serve.static_http.engine import HttpEngine
from netboot.serve.static_http.registry_answers import UNREADABLE, UNSUPPORTED, registry_refusal
from netboot.serve.static_http.static_files import StaticFiles

NAME = "olcne/ock-ostree"
TIMEOUT_S = 10.0


class Recorder:
    """Records what was counted."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, int, int]] = []

    def begin_transfer(self, *_: object, **_sent: object) -> object:
        return lambda: None

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        self.counted.append((kind.value, int(status), bytes_sent))

    def count(self, *_: object, **__: str) -> None:
        """Counted elsewhere."""

    def record_refusal(self, *_: str) -> None:
        """Counted elsewhere."""


@pytest.fixture
def image(tmp_path: Path) -> MadeImage:
    return store_image(tmp_path, NAME, an_image(500, 200_000), "1.33")


def answers(content: Path, *requests: str, recorder: Recorder | None = None) -> list[tuple[int, dict[str, str], bytes]]:
    """Send requests at once on one connection, and return every answer until it is closed."""

    async def talk() -> list[tuple[int, dict[str, str], bytes]]:
        store = recorder or Recorder()
        files = StaticFiles(ContentIndex(content), store, counters=store, shares=default_shares(), advertised={})
        engine = HttpEngine(files, asyncio.Protocol)
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(engine.protocol, ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        found = []
        try:
            async with asyncio.timeout(TIMEOUT_S):
                writer.write("".join(requests).encode())
                writer.write_eof()
                for each in requests:
                    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
                    fields = dict(line.split(": ", 1) for line in lines)
                    size = 0 if each.startswith("HEAD") else int(fields.get("Content-Length", 0))
                    found.append((int(status.split()[1]), fields, await reader.readexactly(size)))
                assert await reader.read() == b""
        finally:
            writer.close()
            await engine.stop(1.0)
        return found

    return asyncio.run(talk())


def request(path: str, *fields: str, method: str = "GET", body: str = "") -> str:
    return "\r\n".join([f"{method} /v2/{path} HTTP/1.1", "Host: x", *fields, "", body])


@pytest.mark.parametrize("fault", ImageFault)
def test_each_fault_has_an_answer_with_its_code(fault: ImageFault) -> None:
    answer = registry_refusal(fault)

    (error,) = json.loads(answer.text)["errors"]
    assert (error["code"], set(error)) == (fault, {"code", "message", "detail"})
    assert dict(answer.headers)["Content-Length"] == str(len(answer.text))
    assert answer.status.value in (400, 404)


def test_a_fault_of_ours_and_a_write_have_codes_too() -> None:
    found = {each.status.value: json.loads(each.text)["errors"][0]["code"] for each in (UNREADABLE, UNSUPPORTED)}

    assert found == {500: "UNKNOWN", 405: "UNSUPPORTED"}


def test_requests_of_one_connection_are_answered_in_their_order(tmp_path: Path, image: MadeImage) -> None:
    recorder, layer = Recorder(), image.layers[1]
    found = answers(
        tmp_path,
        request(""),
        request(f"{NAME}/manifests/1.34"),
        request(f"{NAME}/manifests/1.33", "Accept: application/xml"),
        request(f"{NAME}/manifests/1.33", method="HEAD"),
        request(f"{NAME}/blobs/{layer}", "Range: bytes=100000-100009"),
        request(f"{NAME}/blobs/{layer}", "Range: bytes=0-,0-,0-,0-"),
        request(f"{NAME}/blobs/{layer}", method="HEAD"),
        request(f"{NAME}/blobs/{layer}", "Range: bytes=999999999-"),
        request(f"{NAME}/tags/list", "Connection: close"),
        recorder=recorder,
    )

    data, manifest = image.blobs[layer], image.blobs[image.digest]
    assert [(status, len(body)) for status, _, body in found] == [
        (200, 2),
        (404, len(registry_refusal(ImageFault.MANIFEST_UNKNOWN).text)),
        (200, len(manifest)),
        (200, 0),
        (206, 10),
        (200, len(data)),
        (200, 0),
        (416, len(found[7][2])),
        (200, len(found[8][2])),
    ]
    assert (found[2][2], found[4][2], found[5][2]) == (manifest, data[100_000:100_010], data)
    assert [each[1].get("Docker-Content-Digest") for each in found[2:7]] == [image.digest] * 2 + [layer] * 3
    assert recorder.counted == [
        ("other", 200, 2),
        ("other", 404, 0),
        ("image-manifest", 200, len(manifest)),
        ("image-manifest", 200, 0),
        ("image-blob", 206, 10),
        ("image-blob", 200, len(data)),
        ("image-blob", 200, 0),
        ("image-blob", 416, 0),
        ("other", 200, len(found[8][2])),
    ]


def test_a_push_is_refused_and_its_body_is_not_read(tmp_path: Path) -> None:
    ((status, fields, body),) = answers(
        tmp_path, request(f"{NAME}/blobs/uploads/", "Content-Length: 5", method="POST", body="12345")
    )

    assert (status, fields["Allow"], fields["Connection"]) == (405, "GET, HEAD", "close")
    assert json.loads(body)["errors"][0]["code"] == "UNSUPPORTED"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../../secret/manifests/1", "NAME_INVALID"),
        (f"{NAME}/blobs/..%2F..%2Fsecret", "BLOB_UNKNOWN"),
        (f"{NAME}/manifests/%00", "MANIFEST_UNKNOWN"),
        (f"{'a' * 7000}/manifests/1", "NAME_UNKNOWN"),
        (f"{'blobs/' * 1200}x", "NAME_UNKNOWN"),
        ("%2e%2e/manifests/1", "NAME_INVALID"),
    ],
)
@pytest.mark.usefixtures("image")
def test_a_hostile_name_finds_nothing(tmp_path: Path, path: str, code: str) -> None:
    (tmp_path / "secret").write_text("secret")

    ((status, _, body),) = answers(tmp_path, request(path, "Connection: close"))

    assert (status in (400, 404), json.loads(body)["errors"][0]["code"]) == (True, code)

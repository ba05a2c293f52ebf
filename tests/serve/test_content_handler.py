"""What the two content listeners share: the path of a target, and the report of what was sent."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from fixtures.listeners import share_limits

from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import NO_CACHE, ServedFile
from netboot.model.release import ContentKind
from netboot.serve.static_http.content_handler import ContentHandler, path_of_target


@dataclass
class Recorder:
    """Records its calls, as file service and counters."""

    served: list[tuple[IPv4Address, ServedFile, int]] = field(default_factory=list)
    counted: list[tuple[ContentKind, int, int]] = field(default_factory=list)
    malformed: int = 0

    def content_served(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        self.served.append((address, file, bytes_sent))

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        self.counted.append((kind, status, bytes_sent))

    def request_malformed(self) -> None:
        self.malformed += 1

    def request_refused(self, *_: str) -> None:
        """Counted elsewhere."""


KERNEL = ServedFile("/k", 10, '"a"', "application/octet-stream", NO_CACHE, ContentKind.KERNEL, "ol8", "vmlinuz")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/content/ol8/vmlinuz?x", "/content/ol8/vmlinuz?x"),
        ("http://192.0.2.1:8080/content/ol8/vmlinuz", "/content/ol8/vmlinuz"),
        ("http://192.0.2.1", "/"),
        ("*", "*"),
    ],
)
def test_a_target_in_absolute_form_has_a_path_too(target: str, path: str) -> None:
    assert path_of_target(target) == path


def test_service_and_counters_record_what_a_machine_got(tmp_path: Path) -> None:
    store = Recorder()
    handler = ContentHandler(ContentIndex(tmp_path), store, counters=store, limits=share_limits())

    handler.emit("192.0.2.101", KERNEL, status=HTTPStatus.OK, bytes_sent=10, began=0.0)

    assert store.served == [(IPv4Address("192.0.2.101"), KERNEL, 10)]
    assert store.counted == [(ContentKind.KERNEL, 200, 10)]


def test_the_service_gets_no_refusals_no_heads_and_no_ipv6_clients(tmp_path: Path) -> None:
    store = Recorder()
    handler = ContentHandler(ContentIndex(tmp_path), store, counters=store, limits=share_limits())

    handler.emit("192.0.2.101", None, status=HTTPStatus.NOT_FOUND, bytes_sent=0, began=0.0)
    handler.emit("192.0.2.101", KERNEL, status=HTTPStatus.OK, bytes_sent=0, began=0.0)
    handler.emit("2001:db8::1", KERNEL, status=HTTPStatus.OK, bytes_sent=10, began=0.0)
    handler.emit(None, KERNEL, status=HTTPStatus.OK, bytes_sent=10, began=0.0)

    assert store.served == []
    assert [count[1] for count in store.counted] == [404, 200, 200, 200]


def test_a_file_is_found_in_memory_or_on_disk(tmp_path: Path) -> None:
    store = Recorder()
    handler = ContentHandler(ContentIndex(tmp_path), store, counters=store, limits=share_limits())
    (tmp_path / "media" / "ol8").mkdir(parents=True)
    (tmp_path / "media" / "ol8" / "vmlinuz").write_bytes(b"k")

    assert handler.content.find("/content/ol8/vmlinuz") is None
    file = asyncio.run(handler.find("/content/ol8/vmlinuz"))

    assert file is not None
    assert file.path == str(tmp_path / "media" / "ol8" / "vmlinuz")

"""What the connections share: what is found below a static tree, and the record of what was sent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path

from fixtures.listeners import default_shares

from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import NO_CACHE, ServedFile
from netboot.model.release import ContentKind
from netboot.serve.static_http.head import StaticRequest
from netboot.serve.static_http.static_files import StaticFiles


@dataclass
class Recorder:
    """Records its calls, as file service and counters."""

    served: list[tuple[IPv4Address, ServedFile, int]] = field(default_factory=list)
    counted: list[tuple[ContentKind, int, int]] = field(default_factory=list)
    cut: list[tuple[str, int]] = field(default_factory=list)
    malformed: int = 0

    def begin_transfer(self, *_: object, **_sent: object) -> Callable[[], None]:
        """Shown elsewhere."""
        return lambda: None

    def record_content(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        self.served.append((address, file, bytes_sent))

    def record_cut_content(self, _address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        self.cut.append((file.member, bytes_sent))

    def record_failed_loader(
        self, _: IPv4Address, name: str, *, outcome: str, bytes_sent: int, size_bytes: int
    ) -> None:
        self.cut.append((f"{name} {outcome} {size_bytes}", bytes_sent))

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        self.counted.append((kind, status, bytes_sent))

    def count(self, name: str, _amount: float = 1, **_: str) -> None:
        self.malformed += name == "http_malformed"

    def record_refusal(self, *_: str) -> None:
        """Counted elsewhere."""


REQUEST = StaticRequest("GET", "/content/ol8/vmlinuz", {"host": "x"}, 100)
KERNEL = ServedFile("/k", 10, '"a"', "application/octet-stream", NO_CACHE, ContentKind.KERNEL, "ol8", "vmlinuz")


def test_service_and_counters_record_what_a_machine_got(tmp_path: Path) -> None:
    store = Recorder()
    files = StaticFiles(ContentIndex(tmp_path), store, counters=store, shares=default_shares(), advertised={})

    files.record_answer(REQUEST, KERNEL, remote="192.0.2.101", status=HTTPStatus.OK, bytes_sent=10, began=0.0)

    assert store.served == [(IPv4Address("192.0.2.101"), KERNEL, 10)]
    assert store.counted == [(ContentKind.KERNEL, 200, 10)]


def test_the_service_gets_no_refusals_no_heads_and_no_ipv6_clients(tmp_path: Path) -> None:
    store = Recorder()
    files = StaticFiles(ContentIndex(tmp_path), store, counters=store, shares=default_shares(), advertised={})

    files.record_answer(REQUEST, None, remote="192.0.2.101", status=HTTPStatus.NOT_FOUND, bytes_sent=0, began=0.0)
    files.record_answer(REQUEST, KERNEL, remote="192.0.2.101", status=HTTPStatus.OK, bytes_sent=0, began=0.0)
    files.record_answer(REQUEST, KERNEL, remote="2001:db8::1", status=HTTPStatus.OK, bytes_sent=10, began=0.0)
    files.record_answer(REQUEST, KERNEL, remote="", status=HTTPStatus.OK, bytes_sent=10, began=0.0)

    assert store.served == []
    assert [count[1] for count in store.counted] == [404, 200, 200, 200]


def test_the_service_gets_each_answer_that_ended_early(tmp_path: Path) -> None:
    store = Recorder()
    files = StaticFiles(ContentIndex(tmp_path), store, counters=store, shares=default_shares(), advertised={})
    loader = ServedFile("/l", 10, '"a"', "application/octet-stream", NO_CACHE, ContentKind.OTHER, "", "snponly.efi")
    request = StaticRequest("GET", "/bootfiles/snponly.efi", {"host": "x"}, 100)

    for sent, file in ((REQUEST, KERNEL), (request, loader)):
        files.record_answer(
            sent, file, remote="192.0.2.101", status=HTTPStatus.OK, bytes_sent=4, began=0.0, is_cut=True
        )

    assert store.cut == [("vmlinuz", 4), ("snponly.efi cut 10", 4)]

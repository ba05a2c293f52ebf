"""What a worker served reaches the daemon as it was."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest

from netboot.content.serving.served_file import NO_CACHE, OCTETS, ServedFile
from netboot.model.release import ContentKind
from netboot.serve.workers.content_reports import MOST_IN_A_LINE, Reports, apply

CP1 = IPv4Address("192.0.2.101")
KERNEL = ServedFile("/c/media/ol8/vmlinuz", 10, '"a"', OCTETS, NO_CACHE, ContentKind.KERNEL, "ol8", "vmlinuz")


@dataclass
class Recorder:
    """Remembers what it is told, as desk and counters."""

    served: list[tuple[IPv4Address, str, str, ContentKind, int, int]] = field(default_factory=list)
    counted: list[tuple[ContentKind, int, int, int]] = field(default_factory=list)
    malformed: int = 0

    def content_served(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        self.served.append((address, file.owner, file.member, file.kind, file.size_bytes, bytes_sent))

    def content_counted(self, kind: ContentKind, status: int, *, requests: int, bytes_sent: int) -> None:
        self.counted.append((kind, status, requests, bytes_sent))

    def request_malformed(self) -> None:
        self.malformed += 1


def test_desk_and_counters_hear_the_same_from_a_worker() -> None:
    reports, store = Reports(), Recorder()
    reports.content_served(CP1, KERNEL, 10)
    for _ in range(3):
        reports.content_sent(ContentKind.KERNEL, 200, 10)
    reports.content_sent(ContentKind.OTHER, 404, 0)
    reports.request_malformed()

    for line in reports.take():
        apply(line, store, store)

    assert store == Recorder(
        [(CP1, "ol8", "vmlinuz", ContentKind.KERNEL, 10, 10)],
        [(ContentKind.KERNEL, 200, 3, 30), (ContentKind.OTHER, 404, 1, 0)],
        1,
    )
    assert list(reports.take()) == []


def test_many_come_in_several_lines_in_their_order() -> None:
    reports, store = Reports(), Recorder()
    for sent in range(MOST_IN_A_LINE + 1):
        reports.content_served(CP1, KERNEL, sent)

    lines = list(reports.take())
    for line in lines:
        assert line.count(b"\n") == 1
        apply(line, store, store)

    assert len(lines) == 2
    assert [each[-1] for each in store.served] == list(range(MOST_IN_A_LINE + 1))


@pytest.mark.parametrize("line", [b"", b"x\n", b"[]\n", b'{"served": [1]}\n', b'{"counted": [["?", 1, 1, 1]]}\n'])
def test_what_is_no_report_is_refused(line: bytes) -> None:
    store = Recorder()
    with pytest.raises(ValueError, match=r".+"):
        apply(line, store, store)

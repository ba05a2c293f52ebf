"""Captures on a disk, read by scapy: frames, checksums, what is kept of a long boot, restarts and faults."""

import errno
import os
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from netboot.boot_records import capture_store
from netboot.boot_records.capture_store import CaptureStore, ReceivedPacket, shortened
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.record_files import Owner, RecordFiles, RecordKind
from netboot.model.captured_packet import CapturedPacket, Protocol
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.wire import pcapng

BEGAN = datetime.now(UTC).replace(microsecond=5)
CP1 = HostName("cp1")
MAC = Mac.parse("52:54:00:aa:bb:01")
MACHINE, SERVER = ("192.0.2.50", 49152), ("192.0.2.10", 8080)


def packet(data: bytes = b"x", **changes: Any) -> CapturedPacket:
    values: dict[str, Any] = {
        "protocol": Protocol.TFTP,
        "at": BEGAN,
        "interface": "eno2",
        "source": ("192.0.2.50", 2070),
        "destination": ("192.0.2.10", 69),
        "data": data,
        "is_sent": False,
    }
    return CapturedPacket(**values | changes)


def received(*packets: CapturedPacket, owner: Owner = CP1, **changes: Any) -> list[ReceivedPacket]:
    began_at, lost = changes.get("began_at", BEGAN), changes.get("lost", 0)
    return [ReceivedPacket(owner, began_at, MAC, each, lost) for each in packets]


def open_store(directory: Path, budget_bytes: int = 1 << 30) -> CaptureStore:
    budget = DiskBudget(RecordFiles(directory), budget_bytes, now=lambda: datetime.now(UTC))
    budget.open()
    return CaptureStore(budget, application="netboot 1.0")


@pytest.fixture
def store(tmp_path: Path) -> CaptureStore:
    return open_store(tmp_path)


def file_of(store: CaptureStore, owner: Owner = CP1) -> Path:
    return store.budget.files.of(owner, RecordKind.CAPTURE)[-1].path


def read(store: CaptureStore, owner: Owner = CP1) -> list[tuple[Any, Any]]:
    """The frames of a machine's last capture, each with what the file has beside it."""
    return [(Ether(data), meta) for data, meta in RawPcapNgReader(BytesIO(file_of(store, owner).read_bytes()))]


def test_datagrams_have_the_frames_that_the_wire_had(store: CaptureStore):
    discover = packet(
        b"discover",
        protocol=Protocol.DHCP,
        source=("0.0.0.0", 68),
        destination=("255.255.255.255", 67),
    )
    offer = packet(
        b"offer",
        protocol=Protocol.DHCP,
        source=("192.0.2.10", 67),
        destination=("255.255.255.255", 68),
        is_sent=True,
        at=BEGAN + timedelta(seconds=1),
    )
    ack = packet(b"ack", source=("192.0.2.10", 4011), destination=("192.0.2.50", 4011), is_sent=True, interface="eno3")

    written = store.write(received(discover, offer, ack))

    assert (written.dropped, written.problem) == ({}, None)
    frames = read(store)
    assert [(frame.src, frame.dst) for frame, _ in frames] == [
        ("52:54:00:aa:bb:01", "ff:ff:ff:ff:ff:ff"),
        ("02:6e:62:00:00:01", "ff:ff:ff:ff:ff:ff"),
        ("02:6e:62:00:00:01", "52:54:00:aa:bb:01"),
    ]
    ends = [(frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport) for frame, _ in frames]
    assert ends == [(*each.source, *each.destination) for each in (discover, offer, ack)]
    assert [bytes(frame[UDP].payload) for frame, _ in frames] == [b"discover", b"offer", b"ack"]
    assert [(meta.ifname, meta.direction) for _, meta in frames] == [(b"eno2", 1), (b"eno2", 2), (b"eno3", 2)]
    times = [(meta.tshigh << 32) + meta.tslow for _, meta in frames]
    assert times[0] == round(BEGAN.timestamp() * 1_000_000)
    assert times[1] - times[0] == 1_000_000
    for frame, _ in frames:
        sums = frame[IP].chksum, frame[UDP].chksum
        del frame[IP].chksum, frame[UDP].chksum
        again = Ether(bytes(frame))
        assert sums == (again[IP].chksum, again[UDP].chksum)


def test_of_a_block_of_a_file_only_the_header_is_kept(store: CaptureStore):
    store.write(received(packet(b"\0\3\0\1" + b"secret" * 100, kept_bytes=4, is_sent=True)))

    [(frame, meta)] = read(store)
    assert (bytes(frame)[-4:], len(frame), meta.wirelen) == (b"\0\3\0\1", 46, 646)
    assert frame[UDP].len == 8 + 604
    assert b"secret" not in file_of(store).read_bytes()


def test_requests_of_a_connection_continue_it_and_answers_acknowledge_them(store: CaptureStore):
    def request(data: bytes, port: int = 49152) -> CapturedPacket:
        ends = {"source": ("192.0.2.50", port), "destination": SERVER}
        return packet(data, protocol=Protocol.HTTP, comment=f"GET {data!r}", **ends)

    answer = packet(b"", protocol=Protocol.HTTP, source=SERVER, destination=MACHINE, is_sent=True, comment="200")

    store.write(received(request(b"first"), answer, request(b"other", 50000), request(b"second")))
    store.write(received(answer))

    frames = [(frame[TCP].seq, frame[TCP].ack, bytes(frame[TCP].payload)) for frame, _ in read(store)]
    assert frames == [(1, 1, b"first"), (1, 6, b""), (1, 1, b"other"), (6, 1, b"second"), (1, 12, b"")]
    assert [b"".join(meta.comments) for _, meta in read(store)][:2] == [b"GET b'first'", b"200"]


def test_the_connections_in_memory_are_bounded(store: CaptureStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(capture_store, "FLOWS", 2)
    requests = [
        packet(b"abc", protocol=Protocol.HTTP, source=("192.0.2.50", port), destination=SERVER) for port in (1, 2, 3, 1)
    ]

    store.write(received(*requests))

    assert [frame[TCP].seq for frame, _ in read(store)] == [1, 1, 1, 1]


def test_packets_that_were_not_taken_are_counted_in_the_file(store: CaptureStore):
    store.write(received(packet(), lost=7))

    [block] = [block for kind, block in pcapng.blocks(file_of(store).read_bytes()) if kind == pcapng.BlockType.PACKET]
    assert pcapng.read_packet(block).lost == 7


def test_a_long_capture_keeps_its_first_part_and_the_newest_packets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(capture_store, "LONGEST_CAPTURE_BYTES", 20_000)
    monkeypatch.setattr(capture_store, "FIRST_PART_BYTES", 5_000)
    monkeypatch.setattr(capture_store, "NEWEST_PART_BYTES", 8_000)
    store = open_store(tmp_path)
    removed = 0

    for number in range(40):
        packets = [packet(b"%05d" % (number * 25 + each)) for each in range(25)]
        removed += store.write(received(*packets)).dropped.get(RecordDrop.BOOT_FULL, 0)

    numbers = [int(bytes(frame[UDP].payload)) for frame, _ in read(store)]
    gap = next(place for place, number in enumerate(numbers) if number != place)
    assert (numbers[0], numbers[-1]) == (0, 999)
    assert numbers == [*range(gap), *range(1000 - (len(numbers) - gap), 1000)]
    blocks = [block for kind, block in pcapng.blocks(file_of(store).read_bytes()) if kind == pcapng.BlockType.PACKET]
    assert pcapng.read_packet(blocks[gap]).lost == removed == 1000 - len(numbers)
    assert file_of(store).stat().st_size <= 20_000
    assert file_of(store).stat().st_mode & 0o777 == 0o640
    assert store.budget.used[RecordKind.CAPTURE] == -(-file_of(store).stat().st_size // 4096) * 4096
    assert list(file_of(store).parent.iterdir()) == [file_of(store)]


def test_what_fits_is_not_shortened():
    data = pcapng.section("netboot", "") + pcapng.packet(pcapng.Packet(0, 1, b"abc", 3, is_sent=False)) * 3

    assert shortened(data, first_bytes=1000, newest_bytes=1000) == (data, 0)


def test_a_restarted_daemon_continues_a_capture_without_what_was_cut(tmp_path: Path):
    before = open_store(tmp_path)
    before.write(received(packet(b"first"), packet(b"cut", interface="eno3")))
    size = file_of(before).stat().st_size
    os.truncate(file_of(before), size - 3)

    store = open_store(tmp_path)
    store.write(received(packet(b"after", interface="eno3"), packet(b"same", interface="eno2"), began_at=None))

    frames = read(store)
    assert [bytes(frame[UDP].payload) for frame, _ in frames] == [b"first", b"after", b"same"]
    assert [meta.ifname for _, meta in frames] == [b"eno2", b"eno3", b"eno2"]
    assert len(store.budget.files.of(CP1, RecordKind.CAPTURE)) == 1


def test_a_packet_of_no_known_boot_is_dropped(tmp_path: Path):
    store = open_store(tmp_path)

    written = store.write(received(packet(), packet(), began_at=None))

    assert (written.dropped, written.problem) == ({RecordDrop.NO_BOOT: 2}, None)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_capture_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(capture_store, "LONGEST_CAPTURE_BYTES", 500)
    monkeypatch.setattr(capture_store, "FIRST_PART_BYTES", 10)
    monkeypatch.setattr(capture_store, "NEWEST_PART_BYTES", 100)
    store = open_store(tmp_path)
    store.write(received(packet(b"first")))
    data = bytearray(file_of(store).read_bytes())
    data[data.index(b"eno2") - 4] = 77  # not the option of a name any longer
    file_of(store).write_bytes(data)

    after = open_store(tmp_path)
    after.write(received(packet(b"second")))
    assert [bytes(frame[UDP].payload) for frame, _ in read(after)] == [b"second"]

    file = file_of(after)
    damaged = file.read_bytes().replace(b"\2\0\4\0\1\0\0\0\0\0\0\0", b"\7\0\4\0\1\0\0\0\0\0\0\0")  # no flags
    file.write_bytes(damaged)
    after.write(received(*[packet(b"long" * 20)] * 4))
    after.write(received(packet(b"last")))
    assert [bytes(frame[UDP].payload) for frame, _ in read(after)] == [b"last"]


def test_a_full_disk_is_a_problem_and_leaves_whole_packets(store: CaptureStore, monkeypatch: pytest.MonkeyPatch):
    store.write(received(packet(b"before")))

    def full(_descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    written = store.write(received(packet(b"lost")))
    monkeypatch.undo()
    store.write(received(packet(b"after")))

    assert written.dropped == {RecordDrop.WRITE_FAILED: 1}
    assert written.problem == (
        f"cannot write the capture of cp1 in {store.budget.files.directory}: No space left on device; "
        "free some space on its file system"
    )
    assert [bytes(frame[UDP].payload) for frame, _ in read(store)] == [b"before", b"after"]


def test_a_disk_that_is_full_for_the_shortened_capture_keeps_the_long_one(
    store: CaptureStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(capture_store, "LONGEST_CAPTURE_BYTES", 100)

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    written = store.write(received(packet(b"kept")))

    assert written.dropped == {RecordDrop.WRITE_FAILED: 1}
    assert [path.name for path in file_of(store).parent.iterdir()] == [file_of(store).name]
    assert [bytes(frame[UDP].payload) for frame, _ in read(store)] == [b"kept"]


def test_beyond_the_budget_packets_of_running_boots_are_dropped(tmp_path: Path):
    store = open_store(tmp_path, 2 * 4096)

    for name in ("a", "b", "c"):
        written = store.write(received(packet(), owner=HostName(name)))

    assert written.dropped == {RecordDrop.BUDGET: 1}
    assert written.problem is not None
    assert written.problem.startswith("the records of running boots fill records.budget (8192 bytes), and no more pack")


def test_the_captures_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(capture_store, "OPEN_CAPTURES", 1)
    store = open_store(tmp_path)

    for name in ("a", "b", "a"):
        store.write(received(packet(name.encode()), owner=HostName(name)))

    assert [bytes(frame[UDP].payload) for frame, _ in read(store, HostName("a"))] == [b"a", b"a"]


def test_an_infiniband_port_has_the_end_of_its_guid_as_its_mac(store: CaptureStore):
    guid = Mac.parse("b8:ce:f6:03:00:31:33:3e")

    store.write([ReceivedPacket(guid, BEGAN, guid, packet())])

    assert read(store, guid)[0][0].src == "f6:03:00:31:33:3e"


def test_a_disk_that_became_read_only_beyond_the_budget_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = open_store(tmp_path, 3 * 4096)
    store.write(received(packet(), owner=HostName("a"), began_at=BEGAN - timedelta(hours=5)))
    store.write(received(packet(), owner=HostName("a")))

    def read_only(_path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", read_only)
    written = [store.write(received(packet(), owner=HostName(name))) for name in ("b", "c")]

    assert [each.dropped for each in written] == [{}, {RecordDrop.WRITE_FAILED: 1}]
    assert written[1].problem is not None
    cure = "mount its file system writable, or add its directory to ReadWritePaths= of the unit"
    assert written[1].problem.endswith(f"Read-only file system; {cure}")

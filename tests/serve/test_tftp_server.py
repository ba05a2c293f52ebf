"""The TFTP listeners on loopback, packet by packet, by raw sockets."""

import asyncio
import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import structlog
from fixtures.listeners import free_udp_port, tftp_settings
from fixtures.no_descriptor import no_descriptor_left

from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.offer import DocumentKind, MachineDocument
from netboot.model.host.network import Interface
from netboot.serve.tftp.tftp_server import TftpServer
from netboot.serve.tftp.transfers import TransferLimits
from netboot.wire.tftp.transfer import Outcome

pytestmark = pytest.mark.integration

HOST, SECOND = "127.0.0.1", "127.0.0.2"
SMALL, LARGE = os.urandom(3000), os.urandom(4_500_000)  # more than one piece
GRUB_CFG = b"set timeout=0\nexit\n"
WAIT_S = 5.0


class RecordingFiles:
    """Serves a directory and one rendered document; records its calls."""

    def __init__(self, directory):
        self.files = BootFiles([directory])
        self.reported = []
        self.failed = []
        self.counted = Counter()

    def requested_name(self, _address, name):
        return name

    def request_file(self, address, name):
        assert isinstance(address, IPv4Address)
        if name == "defective":
            raise RuntimeError("the service is broken")
        if name == "grub.cfg":
            return MachineDocument(DocumentKind.GRUB_CONFIG, None)
        return self.files.find(name)

    async def render(self, document, address, *, base_url):
        await asyncio.sleep(0)  # as one that reads the store
        assert (document.kind, address, base_url) == (
            DocumentKind.GRUB_CONFIG,
            IPv4Address(HOST),
            f"http://{HOST}:8080",
        )
        return GRUB_CFG.decode()

    def begin_transfer(self, *_, **_sent):
        return lambda: None

    def record_loader(self, address, name, *, bytes_sent, seconds, retransmissions, outcome):
        assert seconds >= 0
        self.reported.append((str(address), name, bytes_sent, retransmissions, outcome))

    def record_failed_loader(self, address, name, *, outcome, bytes_sent, size_bytes, peer_error):
        self.failed.append((str(address), name, outcome, bytes_sent, size_bytes, peer_error))

    def count(self, name, amount=1, **labels):
        self.counted[name, *labels.values()] += amount


def loopback(mtu_bytes=1500):
    addresses = (IPv4Address(HOST), IPv4Address(SECOND))
    return Interface("lo", socket.if_nametoindex("lo"), addresses[0], addresses, mtu_bytes)


@pytest.fixture
def service(tmp_path):
    (tmp_path / "snponly.efi").write_bytes(SMALL)
    (tmp_path / "large.img").write_bytes(LARGE)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "lines.txt").write_bytes(b"one\ntwo\r")
    return RecordingFiles(tmp_path)


@contextlib.contextmanager
def serving(service, interface=None, **settings):
    """Run the listeners in a loop of their own; gives (port, call), where `call` runs a function on that loop.

    What they log is in `logs`.
    """
    started = threading.Event()
    shared = {}

    async def serve():
        port = free_udp_port()
        server = TftpServer(service, tftp_settings(port=port, **settings), counters=service)
        server.serve([interface or loopback()])
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        shared.update(server=server, loop=loop, stop=stop, port=port)
        started.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    with structlog.testing.capture_logs() as service.logs, contextlib.ExitStack() as at_end:
        thread.start()
        at_end.callback(thread.join, WAIT_S)
        assert started.wait(WAIT_S)

        def call(function):
            async def on_loop():
                result = function(shared["server"])
                return await result if asyncio.iscoroutine(result) else result

            return asyncio.run_coroutine_threadsafe(on_loop(), shared["loop"]).result(WAIT_S)

        at_end.callback(lambda: shared["loop"].call_soon_threadsafe(shared["stop"].set))
        yield shared["port"], call


@pytest.fixture
def port(service):
    with serving(service) as (port, _):
        yield port


@pytest.fixture
def plug():
    """Make sockets of machines, each with its own port; closed at the end."""
    made = []

    def plug(host=HOST):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((host, 0))
        one.settimeout(WAIT_S)
        made.append(one)
        return one

    yield plug
    for one in made:
        one.close()


def rrq(name="snponly.efi", mode="octet", **options):
    pairs = b"".join(f"{key}\0{value}\0".encode() for key, value in options.items())
    return b"\0\1" + name.encode() + b"\0" + mode.encode() + b"\0" + pairs


def ack(block):
    return struct.pack("!HH", 4, block)


def error(code):
    return struct.pack("!HH", 5, code) + b"\0"


def send_request(machine, port, datagram, host=HOST):
    machine.sendto(datagram, (host, port))
    return machine.recvfrom(70000)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def is_unanswered(machine, seconds=0.2):
    machine.settimeout(seconds)
    try:
        return machine.recvfrom(70000) is None
    except TimeoutError:
        return True
    finally:
        machine.settimeout(WAIT_S)


def read(machine, port, request, blksize=512, windowsize=1, host=HOST):
    """Read a file to its end; gives its bytes, the OACK's (or none) and the address it came from."""
    first, server = send_request(machine, port, request, host)
    oack = first if first[1] == 6 else b""
    if oack:
        machine.sendto(ack(0), server)
        first, _ = machine.recvfrom(70000)
    content, block = b"", 0
    while True:
        assert first[:2] == b"\0\3", first
        if first[2:4] != struct.pack(
            "!H", (block + 1) % 65536
        ):  # the window is repeated: this machine was too slow for it
            first, _ = machine.recvfrom(70000)
            continue
        block += 1
        content += first[4:]
        is_last = len(first) < blksize + 4
        if is_last or block % windowsize == 0:
            machine.sendto(ack(block % 65536), server)
        if is_last:
            return content, oack, server
        first, _ = machine.recvfrom(70000)


class TestReading:
    def test_without_options_data_1_comes_from_a_new_port_of_the_requests_destination(self, port, plug):
        for host in (HOST, SECOND):
            content, oack, server = read(plug(), port, rrq(), host=host)

            assert (content, oack) == (SMALL, b"")
            assert server[0] == host
            assert server[1] != port

    def test_each_transfer_has_a_port_of_its_own(self, port, plug):
        servers = {send_request(plug(), port, rrq(tsize=0))[1] for _ in range(20)}

        assert len(servers) == 20

    def test_options_are_acknowledged_as_settled(self, port, plug):
        content, oack, _ = read(plug(), port, rrq(tsize=0, blksize=65000, windowsize=4), 1468, 4)

        assert oack == b"\0\6tsize\x003000\0blksize\x001468\0windowsize\x004\0"
        assert content == SMALL

    def test_blocks_follow_the_interfaces_mtu(self, service, plug):
        with serving(service, loopback(mtu_bytes=1000)) as (port, _):
            assert send_request(plug(), port, rrq(blksize=1468))[0] == b"\0\6blksize\x00968\0"

    @pytest.mark.parametrize("windowsize", [4, 16])
    def test_a_large_file_arrives_whole(self, port, plug, windowsize):
        request = rrq("large.img", blksize=1428, windowsize=windowsize)

        assert read(plug(), port, request, 1428, windowsize)[0] == LARGE

    def test_an_empty_file_is_one_empty_block(self, port, plug):
        assert send_request(plug(), port, rrq("empty"))[0] == b"\0\3\0\1"

    def test_netascii_turns_line_ends_and_has_no_tsize(self, port, plug):
        assert send_request(plug(), port, rrq("lines.txt", "NetASCII", tsize=0))[0] == b"\0\3\0\1one\r\ntwo\r\0"

    def test_a_large_file_is_not_to_be_had_in_netascii(self, port, plug):
        assert send_request(plug(), port, rrq("large.img", "netascii"))[0][:4] == b"\0\5\0\4"

    @pytest.mark.parametrize("name", ["/snponly.efi", "\\SNPONLY.EFI", "./x/../snponly.efi"])
    def test_names_follow_the_rules(self, port, plug, name):
        answer, _ = send_request(plug(), port, rrq(name))

        assert answer == (b"\0\3\0\1" + SMALL[:512] if ".." not in name else answer)
        assert answer[1] == (5 if ".." in name else 3)

    def test_a_rendered_document_is_served_as_a_file_is(self, port, plug):
        content, oack, _ = read(plug(), port, rrq("/grub.cfg", blksize=1024, tsize=0), 1024)

        assert (content, oack) == (GRUB_CFG, b"\0\6blksize\x001024\0tsize\x0019\0")

    def test_a_replaced_file_is_served_as_it_is_now(self, service, port, plug):
        request = rrq("large.img", blksize=1428, windowsize=16)
        read(plug(), port, request, 1428, 16)
        path = service.files.find("large.img").path
        path.with_suffix(".new").write_bytes(b"new" * 800_000)
        path.with_suffix(".new").rename(path)

        assert read(plug(), port, request, 1428, 16)[0] == b"new" * 800_000


class TestRefusing:
    @pytest.mark.parametrize(
        ("datagram", "code"),
        [
            pytest.param(rrq("nothing.efi"), 1, id="missing"),
            pytest.param(rrq("/"), 1, id="the-root"),
            pytest.param(rrq(".hidden"), 1, id="hidden"),
            pytest.param(rrq("%2e%2e/passwd"), 1, id="percent-is-a-letter"),
            pytest.param(b"\0\1\xff\xfe\0octet\0", 1, id="name-of-no-encoding"),
            pytest.param(rrq("../../etc/passwd"), 2, id="upwards"),
            pytest.param(rrq("..\\etc\\passwd"), 2, id="upwards-backslashed"),
            pytest.param(rrq("C:\\boot"), 2, id="drive"),
            pytest.param(rrq("a\nb"), 2, id="control-byte"),
            pytest.param(rrq(mode="mail"), 4, id="mail"),
            pytest.param(rrq("") , 4, id="no-name"),
            pytest.param(rrq()[:-1], 4, id="unterminated"),
            pytest.param(b"\0\2snponly.efi\0octet\0", 4, id="write"),
            pytest.param(b"\0\3\0\1data", 4, id="data"),
            pytest.param(b"\0\4\0\1", 4, id="ack"),
            pytest.param(b"\0\6blksize\x00512\0", 4, id="oack"),
            pytest.param(b"\0\x09", 4, id="unknown-opcode"),
        ],
    )  # fmt: skip
    def test_the_error_is_sent_from_the_port_of_the_request(self, port, plug, datagram, code):
        answer, server = send_request(plug(), port, datagram)

        assert answer[:4] == struct.pack("!HH", 5, code)
        assert answer[4:].decode("ascii").endswith("\0")
        assert server == (HOST, port)

    @pytest.mark.parametrize("datagram", [error(4), b"\0\5", b"\0\5\0", b"", b"\0", b"\0\4\0", b"\0\3"])
    def test_errors_and_truncated_packets_are_dropped(self, port, plug, datagram):
        machine = plug()

        machine.sendto(datagram, (HOST, port))

        assert is_unanswered(machine)

    def test_a_request_to_a_broadcast_address_is_dropped(self, port, plug):
        machine = plug()
        machine.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

        machine.sendto(rrq(), ("127.255.255.255", port))

        assert is_unanswered(machine)
        assert send_request(machine, port, rrq())[0][:4] == b"\0\3\0\1"

    def test_a_fault_of_the_service_drops_the_request_and_the_port_stays_open(self, port, plug):
        machine = plug()

        machine.sendto(rrq("defective"), (HOST, port))

        assert is_unanswered(machine)
        assert send_request(machine, port, rrq())[0][:4] == b"\0\3\0\1"

    def test_a_file_that_went_away_since_the_scan_is_missing(self, service, port, plug):
        service.files.find("snponly.efi").path.unlink()

        assert send_request(plug(), port, rrq())[0][:4] == b"\0\5\0\1"

    def test_a_port_that_is_taken_is_a_problem_until_it_is_free(self, service, plug):
        with serving(service) as (_, call), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("0.0.0.0", 0))
            other.settimeout(WAIT_S)
            taken = other.getsockname()[1]

            async def serve(_):
                server = TftpServer(service, tftp_settings(port=taken), counters=service)
                server.serve([loopback()])
                before = server.problems
                plug().sendto(rrq(), (HOST, taken))
                received_by_other = await asyncio.to_thread(other.recv, 2048)
                other.close()
                server.retry()
                after = server.problems
                answer, _ = await asyncio.to_thread(send_request, plug(), taken, rrq())
                server.close()
                return before, received_by_other, after, answer

            problems, received_by_other, after, answer = call(serve)

        assert re.match(rf"cannot bind UDP port {taken} on lo: Address already in use", *problems)
        assert (received_by_other, after, answer[:4]) == (rrq(), [], b"\0\3\0\1")

    def test_a_burst_is_served_from_memory_while_others_wait_for_the_store(self, service, plug):
        async def wait_for_the_store(*_, **__):
            await asyncio.get_running_loop().create_future()

        service.render = wait_for_the_store
        waiting, reading = [plug() for _ in range(63)], [plug() for _ in range(5)]
        with serving(service) as (port, call):
            read(plug(), port, rrq())  # reads the file from the disk
            requests = {machine: rrq("grub.cfg") for machine in waiting} | dict.fromkeys(reading, rrq())
            call(lambda _: [machine.sendto(each, (HOST, port)) for machine, each in requests.items()])

            assert [machine.recvfrom(70000)[0][:4] for machine in reading] == [b"\0\3\0\1"] * 5
            assert service.counted["tftp_refused", "lo", "busy"] == 0


class TestTheTransfer:
    def test_a_packet_of_another_address_gets_error_5_and_changes_nothing(self, port, plug):
        machine, unregistered = plug(), plug()
        first, server = send_request(machine, port, rrq())

        answer, _ = send_request(unregistered, server[1], ack(1))

        assert answer[:4] == b"\0\5\0\5"
        assert first[:4] == b"\0\3\0\1"
        assert send_request(machine, server[1], ack(1))[0][:4] == b"\0\3\0\2"

    def test_an_error_of_another_address_gets_no_reply_and_changes_nothing(self, port, plug):
        machine, unregistered = plug(), plug()
        _, server = send_request(machine, port, rrq())

        unregistered.sendto(error(8), server)

        assert is_unanswered(unregistered)
        assert send_request(machine, server[1], ack(1))[0][:4] == b"\0\3\0\2"

    @pytest.mark.parametrize("options", [{}, {"tsize": 0}], ids=["data", "oack"])
    def test_a_repeated_request_gets_the_same_answer_from_the_same_port(self, port, plug, options):
        machine = plug()

        assert send_request(machine, port, rrq(**options)) == send_request(machine, port, rrq(**options))

    def test_another_request_from_the_same_port_begins_anew(self, port, plug):
        machine = plug()
        _, probed = send_request(machine, port, rrq(tsize=0))

        answer, server = send_request(machine, port, rrq("grub.cfg"))

        assert answer == b"\0\3\0\1" + GRUB_CFG
        assert server != probed

    def test_scraps_from_the_machine_change_nothing(self, port, plug):
        machine = plug()
        _, server = send_request(machine, port, rrq())

        for scrap in (b"", b"\0", b"\0\4\0", b"\0\5", ack(0), ack(2), ack(40000), b"\0\3\0\1", rrq()):
            machine.sendto(scrap, server)

        assert send_request(machine, server[1], ack(1))[0][:4] == b"\0\3\0\2"

    def test_a_repeated_ack_brings_nothing(self, port, plug):
        machine = plug()
        _, server = send_request(machine, port, rrq())
        send_request(machine, server[1], ack(1))

        machine.sendto(ack(1), server)

        assert is_unanswered(machine)

    def test_an_unanswered_block_comes_again_after_a_second(self, port, plug):
        machine = plug()
        first, server = send_request(machine, port, rrq())

        assert machine.recvfrom(70000) == (first, server)


class TestReports:
    @pytest.fixture
    def transfers(self, service, plug):
        """Run one transfer; return the service's record of it and the log line."""

        def run(machine_does):
            with serving(service) as (port, _):
                machine_does(plug(), port)
            return service.reported, service.logs

        return run

    def test_a_whole_read_is_one_line_and_one_call_of_the_service(self, transfers):
        reported, lines = transfers(lambda machine, port: read(machine, port, rrq("/snponly.efi", blksize=1468), 1468))

        assert reported == [(HOST, "snponly.efi", 3000, 0, Outcome.SENT)]
        [line] = lines
        assert line.pop("seconds") < WAIT_S
        assert line == {
            "event": "tftp.sent",
            "log_level": "info",
            "iface": "lo",
            "address": HOST,
            "boot_file": "snponly.efi",
            "bytes": 3000,
            "retransmissions": 0,
            "blksize": 1468,
            "windowsize": 1,
        }

    def test_edk2s_aborted_probe_is_normal(self, transfers):
        def probe_then_read(machine, port):
            _, server = send_request(machine, port, rrq(tsize=0, blksize=1468, windowsize=4))
            machine.sendto(error(8), server)
            read(machine, port, rrq(blksize=1468, windowsize=4), 1468, 4)

        reported, lines = transfers(probe_then_read)

        assert [outcome for *_, outcome in reported] == [Outcome.PROBED, Outcome.SENT]
        assert [(line["event"], line["log_level"], line.get("reason")) for line in lines] == [
            ("tftp.aborted", "debug", "probed"),
            ("tftp.sent", "info", None),
        ]

    def test_the_error_of_a_machine_that_refuses_our_oack_is_logged(self, transfers):
        def refuse(machine, port):
            _, server = send_request(machine, port, rrq(tsize=0))
            machine.sendto(struct.pack("!HH", 5, 4) + b"bad\x1boption\0", server)
            send_request(machine, port, rrq("grub.cfg"))

        reported, lines = transfers(refuse)

        assert reported[0] == (HOST, "snponly.efi", 0, 0, Outcome.REFUSED_BY_PEER)
        assert (lines[0]["log_level"], lines[0]["peer_error"]) == ("warning", "4 bad\\x1boption")

    def test_a_request_without_a_reply_is_not_reported_to_the_service(self, transfers):
        reported, lines = transfers(lambda machine, port: send_request(machine, port, rrq()))

        assert reported == []
        assert [(line["event"], line["log_level"]) for line in lines] == [("tftp.aborted", "debug")]

    def test_a_read_of_which_no_packet_is_acknowledged_has_failed(self, service, plug):
        machine = plug()
        with serving(service) as (port, _):
            send_request(machine, port, rrq(tsize=0))
            for _ in range(150):
                if service.failed:
                    break
                time.sleep(0.1)

        assert service.failed == [(HOST, "snponly.efi", Outcome.UNANSWERED, 0, 3000, "")]

    def test_a_read_that_the_machine_refuses_has_failed_with_its_error(self, service, plug):
        machine = plug()
        with serving(service) as (port, _):
            _, server = send_request(machine, port, rrq())
            machine.sendto(struct.pack("!HH", 5, 4) + b"no\0", server)
            for _ in range(50):
                if service.failed:
                    break
                time.sleep(0.1)

        assert service.failed == [(HOST, "snponly.efi", Outcome.REFUSED_BY_PEER, 0, 3000, "4 no")]

    def test_refusals_are_counted_and_logged_at_debug_only(self, service, plug):
        with serving(service) as (port, _):
            for _ in range(50):
                send_request(plug(), port, rrq("nothing"))

        assert service.counted["tftp_refused", "lo", "file-not-found"] == 50
        assert {(line["event"], line["log_level"]) for line in service.logs} == {("tftp.refused", "debug")}


class TestLimits:
    def test_a_flood_of_half_open_reads_does_not_keep_a_machine_from_reading(self, service, plug):
        limits = TransferLimits(total=40, per_client=30, half_open=20, half_open_per_client=10)
        with serving(service, limits=limits) as (port, _):
            read(plug(), port, rrq())  # from the disk, for which 64 requests at most wait; others are dropped
            flood = [plug(f"127.0.{n % 10}.{n % 7 + 1}") for n in range(200)]
            for one in flood:
                one.sendto(rrq(timeout=255), (HOST, port))

            assert read(plug(), port, rrq())[0] == SMALL

    def test_a_flood_of_reads_that_began_late_does_not_end_one_that_was_requested_after_them(self, service, plug):
        store_answers = asyncio.Event()

        async def render(*_, **__):
            await store_answers.wait()
            return GRUB_CFG.decode()

        service.render = render
        flood, machine = [plug() for _ in range(4)], plug()
        with serving(service, limits=TransferLimits(total=40, per_client=30, half_open=2)) as (port, call):
            read(plug(), port, rrq())  # reads the file from the disk
            requests = dict.fromkeys(flood, rrq("grub.cfg")) | {machine: rrq()}
            call(lambda _: [each.sendto(request, (HOST, port)) for each, request in requests.items()])
            first, server = machine.recvfrom(70000)
            call(lambda _: store_answers.set())
            for each in flood:
                assert each.recvfrom(70000)[0][:4] == b"\0\3\0\1"

            machine.sendto(ack(1), server)

            assert first[:4] + machine.recvfrom(70000)[0][:4] == b"\0\3\0\1\0\3\0\2"

    def test_one_client_has_no_more_than_its_share_and_gets_no_error(self, service, plug):
        limits = TransferLimits(total=10, per_client=2, half_open=10, half_open_per_client=10)
        with serving(service, limits=limits) as (port, _):
            for _ in range(2):
                send_request(plug(), port, rrq())
            third, other = plug(), plug(SECOND)

            third.sendto(rrq(), (HOST, port))

            assert is_unanswered(third)
            assert send_request(other, port, rrq())[0][:4] == b"\0\3\0\1"

    def test_an_address_takes_a_place_of_the_one_that_has_most_and_no_more_than_that_one_keeps(self, service, plug):
        limits = TransferLimits(total=8, per_client=8)
        with serving(service, limits=limits) as (port, _):
            for _ in range(8):
                one = plug()
                _, server = send_request(one, port, rrq("large.img", timeout=255))
                one.sendto(ack(0), server)
                one.recvfrom(70000)

            answers = [send_request(plug(SECOND), port, rrq(timeout=255))[0][:2] for _ in range(4)]
            fifth = plug(SECOND)
            fifth.sendto(rrq(), (HOST, port))

            assert answers == [b"\0\6"] * 4
            assert is_unanswered(fifth)

    def test_a_transfer_that_waits_longer_than_any_retry_yields_its_place(self, service, plug, monkeypatch):
        monkeypatch.setattr("netboot.serve.tftp.transfers.LONGEST_TIMEOUT_S", 0.5)
        limits = TransferLimits(total=1, per_client=1)
        with serving(service, limits=limits) as (port, _):
            one, early = plug(), plug(SECOND)
            _, server = send_request(one, port, rrq("large.img", timeout=255))
            one.sendto(ack(0), server)
            one.recvfrom(70000)
            early.sendto(rrq(), (HOST, port))
            assert is_unanswered(early)

            time.sleep(0.6)
            assert read(plug(SECOND), port, rrq())[0] == SMALL

    def test_an_end_gives_its_place_back(self, service, plug):
        limits = TransferLimits(total=1, per_client=1, half_open=1, half_open_per_client=1)
        with serving(service, limits=limits) as (port, _):
            for _ in range(3):
                assert read(plug(), port, rrq())[0] == SMALL

    @pytest.mark.parametrize("single_port", [False, True])
    def test_a_large_file_whose_descriptor_is_kept_for_others_is_closed_and_the_machine_retries(
        self, service, plug, monkeypatch, single_port
    ):
        monkeypatch.setattr("netboot.serve.tftp.request_handler.may_use", lambda _number, _user: False)
        before = open_descriptors()
        with serving(service, single_port=single_port) as (port, _):
            machine = plug()
            machine.sendto(rrq("large.img"), (HOST, port))

            assert is_unanswered(machine)
            assert service.counted["tftp_refused", "lo", "no-descriptor"] == 1
            monkeypatch.undo()
            assert send_request(machine, port, rrq("large.img"))[0][:4] == b"\0\3\0\1"
        machine.close()
        assert open_descriptors() == before

    def test_a_read_that_is_refused_for_its_descriptor_ends_no_other_read(self, service, plug, monkeypatch):
        with serving(service, limits=TransferLimits(total=1, per_client=1, half_open=1)) as (port, _):
            reader, other = plug(), plug(SECOND)
            first, server = send_request(reader, port, rrq("large.img"))
            monkeypatch.setattr("netboot.serve.tftp.request_handler.may_use", lambda _number, _user: False)
            other.sendto(rrq("large.img"), (HOST, port))

            assert is_unanswered(other)
            assert service.counted["tftp_refused", "lo", "no-descriptor"] == 1
            assert first[:4] == b"\0\3\0\1"
            assert send_request(reader, server[1], ack(1))[0][:4] == b"\0\3\0\2"

    @pytest.mark.parametrize("name", ["large.img", "lines.txt"])
    @pytest.mark.parametrize("single_port", [False, True])
    def test_a_read_without_any_descriptor_is_dropped_and_no_fault_of_the_file(self, service, plug, name, single_port):
        with serving(service, single_port=single_port) as (port, _):
            machine = plug()
            with no_descriptor_left():
                machine.sendto(rrq(name), (HOST, port))
                assert is_unanswered(machine)
            assert service.counted["tftp_refused", "lo", "no-descriptor"] == 1
            assert [line["event"] for line in service.logs if line["log_level"] == "error"] == []
            assert send_request(machine, port, rrq(name))[0][:4] == b"\0\3\0\1"

    def test_what_is_open_is_closed_at_the_end(self, service, plug):
        before = open_descriptors()
        with serving(service) as (port, _):
            for _ in range(30):
                one = plug()
                _, server = send_request(one, port, rrq("large.img", blksize=1428))
                one.sendto(ack(0), server)
                one.recvfrom(70000)
                one.close()

        assert open_descriptors() == before


class TestSinglePort:
    @pytest.fixture
    def port(self, service):
        with serving(service, single_port=True) as (port, _):
            yield port

    def test_everything_is_sent_from_the_port_and_address_of_the_request(self, port, plug):
        for host in (HOST, SECOND):
            content, oack, server = read(plug(), port, rrq(tsize=0, windowsize=4), windowsize=4, host=host)

            assert (content, server) == (SMALL, (host, port))
            assert oack == b"\0\6tsize\x003000\0windowsize\x004\0"

    def test_machines_read_side_by_side(self, port, plug):
        first, second = plug(), plug()
        send_request(first, port, rrq())
        send_request(second, port, rrq("grub.cfg"))

        assert send_request(first, port, ack(1))[0] == b"\0\3\0\2" + SMALL[512:1024]

    def test_an_ack_without_a_transfer_gets_error_5(self, port, plug):
        assert send_request(plug(), port, ack(1))[0][:4] == b"\0\5\0\5"

    def test_a_repeated_request_gets_the_same_answer(self, port, plug):
        machine = plug()

        assert send_request(machine, port, rrq(tsize=0)) == send_request(machine, port, rrq(tsize=0))


class TestComingAndGoing:
    def test_a_read_goes_on_when_its_interface_changes(self, service, plug):
        with serving(service) as (port, call):
            machine = plug()
            _, server = send_request(machine, port, rrq())
            call(lambda tftp: tftp.serve([loopback(mtu_bytes=9000)]))

            assert send_request(machine, server[1], ack(1))[0][:4] == b"\0\3\0\2"

    def test_an_interface_that_is_gone_is_not_answered(self, service, plug):
        with serving(service) as (port, call):
            call(lambda tftp: tftp.serve([]))
            machine = plug()

            machine.sendto(rrq(), (HOST, port))

            assert is_unanswered(machine)

    def test_draining_ends_when_the_last_read_does_and_takes_no_more(self, service, plug):
        with serving(service) as (port, call):
            machine, late = plug(), plug()
            _, server = send_request(machine, port, rrq())
            for block in range(1, 6):
                send_request(machine, server[1], ack(block))

            async def drain(tftp):
                async with asyncio.TaskGroup() as tasks:
                    draining = tasks.create_task(tftp.drain(WAIT_S))
                    await asyncio.sleep(0)
                    late.sendto(rrq(), (HOST, port))
                    machine.sendto(ack(6), server)
                    await draining

            call(drain)

            assert is_unanswered(late)

    def test_draining_has_an_end(self, service, plug):
        with serving(service) as (port, call):
            send_request(plug(), port, rrq())
            call(lambda tftp: tftp.drain(0.05))

        assert {"event": "tftp.drain_cut", "log_level": "warning", "seconds": 0.05} in service.logs

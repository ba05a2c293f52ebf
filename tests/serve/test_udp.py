"""A UDP port: datagrams that wait together are handed over together, and a fault in one ends that one alone."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address

from fixtures.listeners import free_udp_port

from netboot.model.host.network import Interface
from netboot.serve.net.udp import DATAGRAMS_PER_WAKE, Datagram, UdpSocket
from netboot.telemetry.metrics import Metrics, Reading

HERE, PORT = IPv4Address("127.0.0.1"), free_udp_port()


def received(sent: Sequence[bytes], *, faulty: bytes = b"") -> tuple[list[list[bytes]], list[list[str]], str]:
    """Send datagrams before the port reads; return what it hands over, what two steps made of it, and its counters."""
    batches: list[list[bytes]] = []
    steps: list[list[str]] = []
    counters = Metrics()

    async def scenario() -> None:
        port = UdpSocket(PORT, Interface("lo", socket.if_nametoindex("lo"), HERE, (HERE,)), counters=counters)
        finished = asyncio.Event()

        def first_step(datagram: Datagram) -> str | None:
            if datagram.data == faulty:
                raise RuntimeError("a bug of ours")
            return datagram.data.decode() if datagram.destination == str(HERE) else None

        def receive(datagrams: Sequence[Datagram]) -> None:
            batches.append([each.data for each in datagrams])
            first = port.each(first_step, datagrams)
            steps.extend([first, port.each(lambda text: None if text == "2" else text.upper(), first)])
            if sum(map(len, batches)) == len(sent):
                finished.set()

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for data in sent:
                client.sendto(data, (str(HERE), PORT))
        port.watch(receive)
        async with asyncio.timeout(5):
            await finished.wait()
        port.close()

    asyncio.run(scenario())
    return batches, steps, counters.exposition().decode()


def test_datagrams_that_wait_together_are_handed_over_together_in_their_order():
    sent = [str(number).encode() for number in range(DATAGRAMS_PER_WAKE + 2)]

    batches, _, _ = received(sent)

    assert batches == [sent[:DATAGRAMS_PER_WAKE], sent[DATAGRAMS_PER_WAKE:]]


def test_a_step_is_done_for_each_datagram_that_the_step_before_kept():
    _, steps, _ = received([b"a", b"2", b"c"])

    assert steps == [["a", "2", "c"], ["A", "C"]]


def test_a_fault_in_one_datagram_is_counted_and_ends_that_one_alone():
    _, steps, counters = received([b"a", b"b", b"c"], faulty=b"b")

    assert steps == [["a", "c"], ["A", "C"]]
    assert f'netboot_datagram_faults_total{{port="{PORT}"}} 1.0' in counters


def test_what_waits_in_the_kernel_is_measured_and_what_it_dropped_is_counted_once():
    counters = Metrics()
    lo = Interface("lo", socket.if_nametoindex("lo"), HERE, (HERE,))
    port = UdpSocket(free_udp_port(), lo, counters=counters)
    empty = port.measure_queue()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(40_000):  # each takes more than its 300 bytes; the buffer holds some MB
            client.sendto(bytes(300), (str(HERE), port.port))

    full = port.measure_queue()
    counted = [line for line in counters.exposition().decode().splitlines() if "dropped-by-kernel" in line]
    port.measure_queue()
    again = [line for line in counters.exposition().decode().splitlines() if "dropped-by-kernel" in line]
    port.close()

    labels = ("lo", str(port.port))
    assert empty == Reading("datagrams_waiting_bytes", 0, labels)
    assert (full.labels, full.value > 1_000_000) == (labels, True)
    assert (float(counted[0].rpartition(" ")[2]) > 1, again) == (True, counted)

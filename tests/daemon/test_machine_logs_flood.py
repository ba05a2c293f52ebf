"""100,000 lines of one machine: the log stays bounded, memory stays flat, and no offer waits for them."""

import math
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from fixtures.files import HOSTS, SETTINGS, write_files
from fixtures.lan import a_lan
from fixtures.packets import SERVER
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

DATAGRAMS = 100_000
OFFER_S = 0.5  # on a busy computer; without a flood it takes some milliseconds
GROWTH_KIB = 48 * 1024  # 20,000 lines that may wait for the disk
FLOODED, FLOODING = "198.51.100.1", "198.51.100.50"  # a LAN of its own: the wire of the offers takes no line


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    settings = SETTINGS.replace("[s0]", "[s0, s1]") + "logs: {listen: 0.0.0.0:514}\n"
    hosts = HOSTS.replace("aa:bb:01}", f"aa:bb:01, network: {{address: {FLOODING}/24}}}}")
    directory = write_files(tmp_path, settings=settings, hosts=hosts)
    with a_lan((f"{SERVER}/24", "192.0.2.66/24"), (f"{FLOODED}/24", f"{FLOODING}/24")) as lan:
        rack = Rack(directory, lan)
        try:
            rack.start()
            yield rack
        finally:
            rack.stop()


def resident_kib(rack: Rack) -> int:
    status = Path(f"/proc/{rack.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_a_flood_of_lines_is_bounded_and_delays_no_offer(rack: Rack):
    w1 = rack.machine("52:54:00:12:34:56", "192.0.2.51")
    before_kib = resident_kib(rack)
    sender = rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM)

    def flood() -> None:
        for number in range(DATAGRAMS):
            sender.sendto(b"<6>ipxe: line %d of a machine that repeats itself without an end" % number, (FLOODED, 514))
            if number % 100 == 0:
                time.sleep(0.002)

    thread = Thread(target=flood)
    thread.start()
    waited_s = []
    try:
        while thread.is_alive():
            began_s = time.monotonic()
            is_offered = w1.discover() is not None
            waited_s.append(time.monotonic() - began_s if is_offered else math.inf)
            time.sleep(0.1)
    finally:
        thread.join()
        sender.close()
    time.sleep(2)

    size_bytes = sum(path.stat().st_size for path in (rack.directory / "records").rglob("*.log"))
    counters = rack.curl_api("/metrics").body
    assert sorted(waited_s)[len(waited_s) // 2] < OFFER_S
    assert 100_000 < size_bytes < 16 << 20
    assert resident_kib(rack) - before_kib < GROWTH_KIB
    assert 'netboot_log_lines_dropped_total{reason="rate"}' in counters
    assert rack.log.count("\n") < 1000, "a line per datagram"

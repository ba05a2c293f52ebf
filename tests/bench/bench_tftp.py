"""TFTP beside tftpd-hpa and dnsmasq on loopback, in turns within one run: `python tests/bench/bench_tftp.py`.

Each server alone on one core, the reader on another; 1428-byte blocks. Measures and prints a table.
Needs root, tftpd-hpa and dnsmasq-base. Not every kernel has netem: the round trip of 1 ms is made by a relay process
that holds each datagram back for half of it, both ways.
"""

import asyncio
import contextlib
import heapq
import os
import select
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import time
from ipaddress import IPv4Address
from pathlib import Path

HOST, BLKSIZE = "127.0.0.1", 1428
PORTS = {"netboot": 6969, "tftpd-hpa": 6970, "dnsmasq": 69}  # the only one that dnsmasq serves
RELAY_PORTS = {name: port + 100 for name, port in PORTS.items()}
ONE_WAY_S = 0.0005
ROUNDS = 3
AT_MOST_S = 60.0


class Reader:
    """One read on a non-blocking socket."""

    def __init__(self, port, name, windowsize):
        self.windowsize = windowsize
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.buffer = bytearray(2048)
        self.expected, self.since_ack, self.got = 0, 0, 0
        self.ended_at = None
        options = f"blksize\0{BLKSIZE}\0" + (f"windowsize\0{windowsize}\0" if windowsize > 1 else "")
        self.socket.sendto(f"\0\1{name}\0octet\0{options}".encode(), (HOST, port))

    def step(self):
        """Read the datagrams that have arrived; return whether the file is complete."""
        if self.expected == 0:
            datagram, server = self.socket.recvfrom(2048)
            if datagram[1] != 6:
                raise RuntimeError(f"no OACK but {datagram[:40]!r}")
            if b"windowsize" not in datagram:  # tftpd-hpa and dnsmasq do not support it
                self.windowsize = 1
            self.socket.connect(server)
            self.socket.send(b"\0\4\0\0")
            self.expected = 1
        while True:
            try:
                length = self.socket.recv_into(self.buffer)
            except BlockingIOError:
                return False
            if struct.unpack_from("!H", self.buffer, 2)[0] != self.expected & 0xFFFF:
                continue
            self.got += length - 4
            self.since_ack += 1
            self.expected += 1
            is_last = length < BLKSIZE + 4
            if is_last or self.since_ack == self.windowsize:
                self.socket.send(b"\0\4" + bytes(self.buffer[2:4]))
                self.since_ack = 0
            if is_last:
                self.ended_at = time.perf_counter()
                return True


def read_at_once(port, name, size, *, readers, windowsize):
    """Give the seconds of each reader, from the common start."""
    selector, started = selectors.DefaultSelector(), time.perf_counter()
    running = [Reader(port, name, windowsize) for _ in range(readers)]
    for reader in running:
        selector.register(reader.socket, selectors.EVENT_READ, reader)
    left = set(running)
    while left:
        if time.perf_counter() - started > AT_MOST_S:
            raise TimeoutError(f"{len(left)} of {readers} readers are not done")
        for key, _ in selector.select(1.0):
            if key.data.step():
                left.discard(key.data)
                selector.unregister(key.data.socket)
                key.data.socket.close()
    assert all(reader.got == size for reader in running)
    return [reader.ended_at - started for reader in running]


def relay(port, server_port):
    """Carry datagrams between readers and a server, each after ONE_WAY_S; readers meet one port, the server many."""
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind((HOST, port))
    backs, clients, servers, due = {}, {}, {}, []
    while True:
        wait_s = max(0.0, due[0][0] - time.perf_counter()) if due else 1.0
        for ready in select.select([front, *clients], [], [], wait_s)[0]:
            data, sender = ready.recvfrom(2048)
            at = time.perf_counter() + ONE_WAY_S
            if ready is not front:
                servers[ready] = sender
                heapq.heappush(due, (at, len(due), data, front, clients[ready]))
                continue
            if sender not in backs or data[1] == 1:
                back = backs[sender] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                clients[back], servers[back] = sender, (HOST, server_port)
            back = backs[sender]
            heapq.heappush(due, (at, len(due), data, back, servers[back]))
        while due and due[0][0] <= time.perf_counter():
            _, _, data, by, to = heapq.heappop(due)
            by.sendto(data, to)


def serve(directory, port):
    """Our listeners, as the daemon opens them; log lines at info go to stderr."""
    from netboot.content.bootfiles.directories import BootFiles
    from netboot.model.host.network import Interface
    from netboot.serve.tftp.request_handler import TftpSettings
    from netboot.serve.tftp.tftp_server import TftpServer
    from netboot.serve.tftp.transfers import TransferLimits
    from netboot.telemetry.metrics import Metrics

    class Files:
        files = BootFiles([Path(directory)])

        def requested_name(self, _address, name):
            return name

        def request_file(self, _address, name):
            return self.files.find(name)

        def begin_transfer(self, *_, **_sent):
            return lambda: None

        def record_loader(self, *_address_and_name, **_printed):
            pass

    async def run():
        address = IPv4Address(HOST)
        server = TftpServer(
            Files(),
            TftpSettings(port, False, TransferLimits(512, 64), 8080),
            counters=Metrics(),
        )
        server.serve([Interface("lo", socket.if_nametoindex("lo"), address, (address,))])
        await asyncio.sleep(600)

    asyncio.run(run())


@contextlib.contextmanager
def servers(directory):
    commands = {
        "netboot": [sys.executable, __file__, "serve", directory, str(PORTS["netboot"])],
        # Without an address: in.tftpd resolves one by AI_ADDRCONFIG, which fails where lo is the only interface.
        "tftpd-hpa": ["in.tftpd", "-4", "-L", "-a", f":{PORTS['tftpd-hpa']}", "-s", directory],
        "dnsmasq": ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--enable-tftp",
                    f"--listen-address={HOST}", "--bind-interfaces", f"--tftp-root={directory}", "--user=root",
                    "--tftp-max=100", "--pid-file="],
    }  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen(["taskset", "-c", "0", *command], **quiet) for command in commands.values()]
    for name, port in RELAY_PORTS.items():
        started.append(subprocess.Popen([sys.executable, __file__, "relay", str(port), str(PORTS[name])]))
    time.sleep(4)
    try:
        yield list(commands)
    finally:
        for process in started:
            process.terminate()
            process.wait(10)


def say(line):
    sys.stdout.write(line + "\n")


def main():
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)  # noqa: PTH101
        Path(directory, "one").write_bytes(os.urandom(20_000_000))
        Path(directory, "fifty").write_bytes(os.urandom(1_000_000))
        with servers(directory) as names:
            columns = (
                "windowsize 1",
                "windowsize 16",
                "50 readers at once",
                "1 ms, windowsize 1",
                "1 ms, windowsize 16",
            )
            say(f"| server | {' | '.join(columns)} | slowest : fastest of 50 |")
            say("|---|---|---|---|---|---|---|")
            rows = {name: [[], [], [], [], [], []] for name in names}
            for _ in range(ROUNDS):
                for name in names:
                    port, row = PORTS[name], rows[name]
                    for column, windowsize in ((0, 1), (1, 16)):
                        [seconds] = read_at_once(port, "one", 20_000_000, readers=1, windowsize=windowsize)
                        row[column].append(20 / seconds)
                    times = read_at_once(port, "fifty", 1_000_000, readers=50, windowsize=1)
                    row[2].append(50 / max(times))
                    row[5].append(max(times) / min(times))
                    for column, windowsize in ((3, 1), (4, 16)):
                        [seconds] = read_at_once(
                            RELAY_PORTS[name], "fifty", 1_000_000, readers=1, windowsize=windowsize
                        )
                        row[column].append(1 / seconds)
            for name, row in rows.items():
                best = [f"{max(figures):.1f} MB/s" for figures in row[:5]]
                say(f"| {name} | {' | '.join(best)} | {max(row[5]):.2f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["relay"]:
        relay(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()

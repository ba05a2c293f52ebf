"""The client of bench_machines.py: so many machines at once in one process, over one epoll; prints JSON.

`machines_at_once.py boot SERVER MACHINES WITHIN_S [RECORD_DIR]`: each machine from its DISCOVER to `ready`.
`machines_at_once.py pull SERVER MACHINES PATHS_FILE`: each machine reads every path over a few connections.

It must cost less than the servers it measures: a machine is a generator, not a task; large bodies are discarded in the
kernel (MSG_TRUNC), so they are not copied to this process.
"""

import heapq
import json
import os
import re
import resource
import select
import socket
import struct
import sys
import time
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path

FIRST_ADDRESS = IPv4Address("198.18.1.1")
PORT, LOADER = 8080, "snponly.efi"
BLKSIZE, WINDOWSIZE = 1468, 4  # as EDK2
TCP_WINDOW = 1 << 18  # as iPXE's
RETRIES_S = (4.0, 8.0, 16.0)  # EDK2's between DISCOVERs
TFTP_TIMEOUT_S = 4.0
PULL_CONNECTIONS = 8  # libostree's
AT_MOST_S = 300.0
SO_RCVBUFFORCE = 33
COOKIE = b"\x63\x82\x53\x63"
CLASS = b"\x3c\x20PXEClient:Arch:00007:UNDI:003001"
BUFFER = bytearray(4 << 20)


def mac_of(number):
    return bytes.fromhex("52540000") + number.to_bytes(2, "big")


def address_of(number):
    return FIRST_ADDRESS + number


class Failed(Exception):  # noqa: N818
    """A boot that ends before `ready`."""


class Scheduler:
    """Resumes generators that wait for a socket, a time, or a DHCP reply. They yield (socket or xid, seconds)."""

    def __init__(self):
        self.epoll, self.of_file, self.timers, self.numbers = select.epoll(), {}, [], count()
        self.waits = {}  # generator: (key, number of its timer)
        self.of_xid, self.left = {}, 0
        self.dhcp = None

    def listen_to_dhcp(self, interface):
        self.dhcp = dhcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        dhcp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        dhcp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        dhcp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        dhcp.bind(("0.0.0.0", 68))
        self.epoll.register(dhcp.fileno(), select.EPOLLIN)

    def start(self, generator):
        self.left += 1
        self.resume(generator, None)

    def resume(self, generator, value):
        try:
            key, timeout_s = generator.send(value)
        except StopIteration:
            self.left -= 1
            return
        number = next(self.numbers)
        self.waits[generator] = number
        heapq.heappush(self.timers, (time.perf_counter() + timeout_s, number, generator))
        if isinstance(key, int):
            self.of_xid[key] = generator
        elif key is not None and self.of_file.get(key.fileno()) is not generator:
            known = key.fileno() in self.of_file
            self.of_file[key.fileno()] = generator
            if not known:
                self.epoll.register(key.fileno(), select.EPOLLIN)

    def await_connection(self, connection):
        self.of_file[connection.fileno()] = None
        self.epoll.register(connection.fileno(), select.EPOLLOUT)

    def forget(self, connection):
        if self.of_file.pop(connection.fileno(), None) is not None:
            self.epoll.unregister(connection.fileno())
        connection.close()

    def run(self):
        deadline = time.perf_counter() + AT_MOST_S
        while self.left and time.perf_counter() < deadline:
            wait_s = max(0.0, self.timers[0][0] - time.perf_counter()) if self.timers else 1.0
            for file, _ in self.epoll.poll(min(wait_s, 1.0), 512):
                if self.dhcp is not None and file == self.dhcp.fileno():
                    self.read_replies()
                elif file in self.of_file:  # otherwise closed by an earlier one of these
                    self.resume(self.of_file[file], True)
            now = time.perf_counter()
            while self.timers and self.timers[0][0] <= now:
                _, number, generator = heapq.heappop(self.timers)
                if self.waits.get(generator) == number:  # it waits for the same still
                    self.resume(generator, None)
            if len(self.timers) > 100_000:
                self.timers = [each for each in self.timers if self.waits.get(each[2]) == each[1]]
                heapq.heapify(self.timers)

    def read_replies(self):
        for _ in range(64):
            try:
                reply = self.dhcp.recv(1500)
            except BlockingIOError:
                return
            generator = self.of_xid.pop(int.from_bytes(reply[4:8], "big"), None)
            if generator is not None:
                self.resume(generator, reply)


class Machine:
    """One machine, and when it reached each step."""

    def __init__(self, number, scheduler, server, record=None):
        self.number, self.scheduler, self.server, self.record = number, scheduler, server, record
        self.mac, self.address = mac_of(number), str(address_of(number))
        self.steps, self.failure, self.began, self.ended = {}, None, 0.0, None
        self.kept = None
        self.waits = 0  # scripts and replies that made it wait

    def message(self, kind, xid, *, ipxe=False):
        head = struct.pack("!4BIHH16x16s192x", 1, 1, 6, 0, xid, 0, 0x8000, self.mac)
        identity = b"\x61\x11" + bytes(11) + self.mac + b"\x5e\x03\x01\x03\x01\x5d\x02\x00\x07"
        user = b"\x4d\x04iPXE\xaf\x06\x21\x01\x01\x13\x01\x01" if ipxe else b""
        shows = b"\x36\x04\xc6\x12\x00\x02\x32\x04" + socket.inet_aton(self.address) if kind == 3 else b""
        return (
            head + COOKIE + bytes((53, 1, kind)) + b"\x39\x02\x05\xc0" + shows + identity + CLASS + user + b"\xff"
        ).ljust(300, b"\0")

    def boot(self, delay_s):
        yield None, delay_s
        self.began = time.perf_counter()
        try:
            yield from self.requests_boot()
        except (Failed, OSError) as error:
            self.failure = f"{error}"
        self.ended = time.perf_counter()

    def requests_boot(self):
        offer = yield from self.offer(ipxe=False)
        self.reached("offer")
        name = offer[108:236].partition(b"\0")[0].decode() or LOADER
        yield from self.read_by_tftp(name)
        self.reached("loader")
        yield from self.offer(ipxe=True)
        script = yield from self.get(f"/boot/{self.mac.hex('-')}.ipxe", keep="script")
        while (waits := re.search(r"^sleep (\d+)$", script, re.MULTILINE)) and "\nkernel " not in script:
            self.waits += 1
            yield None, float(waits[1])
            script = yield from self.get(f"/boot/{self.mac.hex('-')}.ipxe")
        self.reached("script")
        for step in ("kernel", "initrd"):
            found = re.search(rf"^{step} .*?(/content/\S+)", script, re.MULTILINE)
            if found is None:
                raise Failed(f"no {step} in the script")
            yield from self.get(found[1])
            self.reached(step)
        yield from self.install(script)

    def install(self, script):
        kickstart = yield from self.get(f"/ks/{token_in(script, 'ks')}", agent="anaconda/8", keep="kickstart")
        self.reached("kickstart")
        report = token_in(kickstart, "report")
        for event in ("started", "done"):
            yield from self.get(f"/report/{report}/{event}", agent="curl/7.61.1", method="POST")
        self.reached("done")
        ignition = f"/ign/{token_in(kickstart, 'ign')}"
        for part in ("", "/role", "/overlay"):
            yield from self.get(ignition + part, agent="Ignition/2.20", keep=f"ignition{part.replace('/', '-')}")
        self.reached("ignition")
        yield from self.get(f"/report/{report}/ready", agent="curl/7.61.1", method="POST")
        self.reached("ready")

    def reached(self, step):
        self.steps[step] = time.perf_counter() - self.began

    def offer(self, *, ipxe):
        for attempt, wait_s in enumerate(RETRIES_S):
            xid = attempt << 28 | ipxe << 27 | self.number
            self.scheduler.dhcp.sendto(self.message(1, xid, ipxe=ipxe), ("255.255.255.255", 67))
            reply = yield xid, wait_s
            if reply is not None:
                self.scheduler.dhcp.sendto(self.message(3, 1 << 31 | xid, ipxe=ipxe), ("255.255.255.255", 67))
                return reply
        raise Failed("no offer")

    def read_by_tftp(self, name):
        file = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            file.bind((self.address, 0))
            request = f"\0\1{name}\0octet\0tsize\0{0}\0blksize\0{BLKSIZE}\0windowsize\0{WINDOWSIZE}\0".encode()
            yield from self.transfer(file, request)
        finally:
            self.scheduler.forget(file)

    def transfer(self, file, request):
        for _ in range(4):
            file.sendto(request, (self.server, 69))
            if (yield file, TFTP_TIMEOUT_S):
                break
        else:
            raise Failed("TFTP request without an answer")
        datagram, sender = file.recvfrom(2048)
        if datagram[1] != 6:
            raise Failed(f"no OACK but {datagram[:40]!r}")
        file.connect(sender)
        file.send(b"\0\4\0\0")
        yield from self.receive_blocks(file, WINDOWSIZE if b"windowsize" in datagram else 1)

    def receive_blocks(self, file, window):
        expected, since_ack, retries, view = 1, 0, 0, memoryview(BUFFER)
        while True:
            try:
                length = file.recv_into(view, 2048)
            except BlockingIOError:
                if (yield file, TFTP_TIMEOUT_S) is None:
                    if (retries := retries + 1) > 5:
                        raise Failed("TFTP transfer stopped") from None
                    file.send(struct.pack("!2H", 4, (expected - 1) & 0xFFFF))
                    since_ack = 0
                continue
            if view[3] != expected & 0xFF:  # the low byte suffices: a window is 4
                continue
            expected, since_ack = expected + 1, since_ack + 1
            if length < BLKSIZE + 4 or since_ack == window:
                file.send(struct.pack("!2H", 4, (expected - 1) & 0xFFFF))
                since_ack = 0
            if length < BLKSIZE + 4:
                return

    def get(self, path, *, agent="iPXE/1.21.1", method="GET", keep=None):
        """Request a path until it is served; return its text if it is a document. `keep` names its record."""
        is_text = path.startswith(("/boot/", "/ks/", "/ign/", "/report/"))
        while True:
            status, retry_after_s, body = yield from self.request(path, agent, method, is_text)
            if status == 200 or (status == 204 and method == "POST"):
                if keep and self.record:
                    Path(self.record, keep).write_bytes(body)
                return body.decode() if is_text else ""
            if status != 503 or retry_after_s is None:
                raise Failed(f"{status} for {re.sub('[0-9a-f]{32}', 'TOKEN', path)}")
            self.waits += 1
            self.close()
            yield None, retry_after_s

    def request(self, path, agent, method, is_text):
        if self.kept is None:
            self.kept = yield from self.connect()
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.server}:{PORT}\r\nUser-Agent: {agent}\r\n{length}\r\n"
        self.kept.send(head.encode())
        return (yield from self.answer(path, is_text))

    def answer(self, path, is_text):
        data = b""
        while b"\r\n\r\n" not in data:
            data += yield from self.receive(path)
        head, _, body = data.partition(b"\r\n\r\n")
        head = head.lower()
        got, length = len(body), int(head_value(head, b"content-length") or 0)
        while got < length:
            if is_text:
                body += yield from self.receive(path)
                got = len(body)
            else:
                got += yield from self.discard(path, length - got)
        if b"connection: close" in head:
            self.close()
        after = head_value(head, b"retry-after")
        return int(head[9:12]), float(after) if after else None, body

    def receive(self, path):
        while True:
            try:
                data = self.kept.recv(65536)
            except BlockingIOError:
                if (yield self.kept, AT_MOST_S) is None:
                    raise Failed(f"no data for {path}") from None
                continue
            if not data:
                raise Failed("the server closed the connection")
            return data

    def discard(self, path, size):
        while True:
            try:
                length = self.kept.recv_into(BUFFER, min(size, len(BUFFER)), socket.MSG_TRUNC)
            except BlockingIOError:
                if (yield self.kept, AT_MOST_S) is None:
                    raise Failed(f"no data for {path}") from None
                continue
            if not length:
                raise Failed("the server closed the connection")
            return length

    def connect(self):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TCP_WINDOW)
        connection.setblocking(False)
        connection.bind((self.address, 0))
        connection.connect_ex((self.server, PORT))
        self.scheduler.await_connection(connection)
        is_connected = yield connection, AT_MOST_S
        self.scheduler.epoll.modify(connection.fileno(), select.EPOLLIN)
        if not is_connected or connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.scheduler.forget(connection)
            raise Failed("no connection")
        return connection

    def close(self):
        if self.kept is not None:
            self.scheduler.forget(self.kept)
        self.kept = None

    def pull(self, paths):
        """Read these paths on one connection, one after another."""
        self.began = time.perf_counter()
        try:
            for path in paths:
                yield from self.get(path, agent="libostree/2022.6")
        except (Failed, OSError) as error:
            self.failure = f"{error}"
        self.ended = time.perf_counter()


def head_value(head, name):
    found = re.search(rb"\r\n" + name + rb": *(\S+)", head)
    return found and found[1]


def token_in(document, area):
    found = re.search(rf"/{area}/([0-9a-f]{{32}})", document)
    if found is None:
        raise Failed(f"no URL of {area} in a document")
    return found[1]


def result(machines, began, wall_began):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "boots_s": [each.ended - each.began for each in machines if each.ended and not each.failure],
        "steps": [each.steps for each in machines if not each.failure],
        "failures": [each.failure or "it did not end" for each in machines if each.failure or not each.ended],
        "waits": sum(each.waits for each in machines),
        "total_s": time.perf_counter() - wall_began,
        "client_cpu_s": usage.ru_utime + usage.ru_stime - began,
    }


def main():
    what, server, machines = sys.argv[1], sys.argv[2], int(sys.argv[3])
    scheduler = Scheduler()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu, began = usage.ru_utime + usage.ru_stime, time.perf_counter()
    if what == "boot":
        within_s, record = float(sys.argv[4]), sys.argv[5] if len(sys.argv) > 5 else None
        scheduler.listen_to_dhcp("c0")
        first = int(os.environ.get("FIRST_MACHINE", "0"))
        found = [Machine(first + each, scheduler, server, record) for each in range(machines)]
        for position, machine in enumerate(found):
            scheduler.start(machine.boot(position * within_s / machines))
    else:
        paths = Path(sys.argv[4]).read_text().split()
        found = [Machine(number, scheduler, server) for number in range(machines) for _ in range(PULL_CONNECTIONS)]
        for position, machine in enumerate(found):
            scheduler.start(machine.pull(paths[position % PULL_CONNECTIONS :: PULL_CONNECTIONS]))
    scheduler.run()
    sys.stdout.write(json.dumps(result(found, cpu, began)))


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    main()

"""HTTP of a hostile client on the LAN costs no log line, delays no offer and no stop."""

import json
import re
import signal
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest
from fixtures.packets import SERVER
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

HOST = b" HTTP/1.1\r\nHost: x\r\n"
REPORT = b"POST /report/" + b"a" * 32 + b"/done" + HOST
MALFORMED = [
    b"GET /ks/\xc3\xa9" + HOST + b"\r\n",
    b"GET http://[/x" + HOST + b"\r\n",
    b"GET /healthz" + HOST + b"a: b\r\n" * 2000 + b"\r\n",
    b"GET /healthz" + HOST + b"\r\nGET /x" + HOST + b"bad header\r\n\r\n",
    b"GET /" + b"a" * 10_000 + HOST + b"\r\n",
    REPORT + b"Content-Length: 18446744073709551617\r\n\r\n",
    REPORT + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    REPORT + b"Transfer-Encoding: xchunked\r\n\r\n",
    b"GET /\x00" + HOST + b"\r\n",
]


def connect(rack: Rack) -> socket.socket:
    line = rack.client_socket(socket.AF_INET, socket.SOCK_STREAM)
    line.settimeout(10)
    line.connect((SERVER, 8080))
    return line


def said_to(rack: Rack, request: bytes) -> bytes:
    with connect(rack) as line:
        line.sendall(request)
        return b"".join(iter(lambda: line.recv(65536), b""))


def malformed(rack: Rack) -> int:
    found = re.search(r"^netboot_http_malformed_total ([0-9.]+)$", metrics(rack), re.MULTILINE)
    return int(float(found[1])) if found else 0


def refused_total(rack: Rack) -> int:
    found = re.findall(r"^netboot_http_refused_total\{[^}]*\} ([0-9.]+)$", metrics(rack), re.MULTILINE)
    return sum(int(float(each)) for each in found)


def metrics(rack: Rack) -> str:
    with rack.server_socket(socket.AF_INET, socket.SOCK_STREAM) as line:
        line.connect(("127.0.0.1", 8470))
        line.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: line.recv(65536), b"")).decode()


def test_what_is_no_http_is_refused_counted_and_never_logged(rack: Rack):
    for request in MALFORMED:
        assert re.search(rb"HTTP/1\.[01] 400 ", said_to(rack, request)), request[:60]

    assert malformed(rack) == len(MALFORMED)
    assert [line for line in rack.log.splitlines() if not line.startswith("{")] == []


TOO_MUCH = b"Content-Length: 1048577\r\n"
REFUSED = [
    (REPORT + TOO_MUCH + b"\r\n", 413),
    (REPORT + TOO_MUCH + b"Expect: 100-continue\r\n\r\n", 413),
    (REPORT + TOO_MUCH + b"\r\n" + b"x" * 500_000, 413),  # bytes that it still sends do not remove the answer
    (b"GET /boot/52:54:00:aa:bb:01.ipxe" + HOST + TOO_MUCH + b"\r\n", 413),
    (b"PUT /no/such/path" + HOST + TOO_MUCH + b"\r\n", 413),
    (b"GET /content/x/y" + HOST + TOO_MUCH + b"\r\n", 413),
    (REPORT + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (REPORT + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /report/x/done HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (REPORT + b"Expect: something\r\nContent-Length: 1\r\n\r\n", 417),
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\nHost: x\n\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"\x00" * 100, 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
]


def test_what_no_handler_may_get_is_refused_at_its_head_and_named_once(rack: Rack):
    for request, status in REFUSED:
        began = time.monotonic()
        answers = said_to(rack, request)

        assert answers.startswith(f"HTTP/1.1 {status} ".encode()), request[:60]
        assert answers.count(b"HTTP/1.") == 1, request[:60]
        assert time.monotonic() - began < 5.0, request[:60]

    lines = [json.loads(line) for line in rack.log.splitlines() if '"http.refused"' in line]
    assert [(line["reason"], line.get("count")) for line in lines] == [("body-too-large", None)]
    assert refused_total(rack) == len(REFUSED)


def test_a_later_request_of_a_connection_is_refused_like_the_first(rack: Rack):
    for request, status in REFUSED:
        with connect(rack) as line:
            line.sendall(b"GET /bootfiles/nothing" + HOST + b"\r\n")
            assert line.recv(65536).endswith(b"404 Not Found: no such file\n")
            line.sendall(request)
            answer = b"".join(iter(lambda line=line: line.recv(65536), b""))

        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), request[:60]
        assert answer.count(b"HTTP/1.") == 1, request[:60]


def test_a_report_in_chunks_without_an_end_is_refused_when_it_is_too_long(rack: Rack):
    with connect(rack) as line:
        line.sendall(REPORT + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):  # the answer may come, and the connection close, before all of it is sent
            for _ in range(64):
                line.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        answer = line.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_no_answer_of_any_listener_names_a_version(rack: Rack):
    answers = [
        said_to(rack, request)
        for request in (
            b"GET /healthz" + HOST + b"Connection: close\r\n\r\n",
            b"GET /nothing" + HOST + b"Connection: close\r\n\r\n",
            b"BREW /healthz" + HOST + b"Connection: close\r\n\r\n",
            b"GET http://[/x" + HOST + b"\r\n",
            b"GET /content/x/y" + HOST + b"Connection: close\r\n\r\n",
        )
    ]
    for request in (b"GET /api/v1/status", b"GET /nothing", b"\x16\x03\x01"):
        with rack.server_socket(socket.AF_INET, socket.SOCK_STREAM) as line:
            line.settimeout(10)
            line.connect(("127.0.0.1", 8470))
            line.sendall(request + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answers.append(b"".join(iter(lambda line=line: line.recv(65536), b"")))

    assert [re.findall(rb"\r\nServer: ([^\r]*)\r\n", answer) for answer in answers] == [[b"netboot"]] * len(answers)


HALF_CLOSED = [
    (b"GET /healthz", b"", 200),
    (b"GET /boot/52:54:00:aa:bb:01.ipxe", b"", 200),
    (b"GET /boot/52:54:00:aa:bb:01/grub.cfg", b"", 200),
    (b"GET /content/ol8u10-x86_64/vmlinuz", b"", 200),
    (b"GET /ks/" + b"a" * 32, b"", 404),
    (b"POST /report/" + b"a" * 32 + b"/done", b"Content-Length: 3\r\n\r\nabc", 404),
]


@pytest.mark.parametrize("delay_s", [0.0, 0.01])
def test_a_client_that_sends_nothing_more_gets_the_answer_to_its_request(rack: Rack, delay_s: float):
    for request, body, status in HALF_CLOSED:
        with connect(rack) as line:
            line.sendall(request + HOST + (body or b"\r\n"))
            time.sleep(delay_s)
            line.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda line=line: line.recv(65536), b""))

        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), request


def test_a_report_whose_body_will_not_come_is_closed(rack: Rack):
    with connect(rack) as line:
        line.sendall(REPORT + b"Content-Length: 9\r\n\r\nabc")
        time.sleep(0.3)
        line.shutdown(socket.SHUT_WR)

        assert line.recv(65536) == b""


def test_a_machine_that_goes_away_at_any_point_is_no_fault_in_the_log(rack: Rack):
    for request in (
        b"GET /boot/52:54:00:aa:bb:01.ipxe" + HOST + b"\r\n",
        b"GET /boot/52:54:00:aa:bb:01/grub.cfg" + HOST + b"\r\n",
        REPORT + b"Content-Length: 100\r\n\r\nhalf",
        b"GET /content/" + b"a" * 300 + b"/x" + HOST + b"\r\n",
        b"GET http://x/content/" + b"a" * 300 + b"/x" + HOST + b"\r\n",
    ):
        for _ in range(5):
            line = connect(rack)
            line.sendall(request)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()
    assert b"ok" in said_to(rack, b"GET /healthz" + HOST + b"Connection: close\r\n\r\n")

    assert [line for line in rack.log.splitlines() if '"error"' in line or not line.startswith("{")] == []


def test_hundreds_of_idle_connections_of_one_machine_keep_nobody_out(rack: Rack):
    with ExitStack() as lines:
        for _ in range(600):
            lines.enter_context(connect(rack))

        other = rack.machine("52:54:00:12:34:56", "192.0.2.60")
        assert other.get("/healthz").status == 200


def test_a_client_that_reads_nothing_delays_the_stop_for_one_grace_only(rack: Rack):
    vmlinuz = rack.directory / "content/media/ol8u10-x86_64/vmlinuz"
    vmlinuz.write_bytes(bytes(8 << 20))
    stuck = []
    for request in (
        b"GET /content/ol8u10-x86_64/vmlinuz" + HOST + b"\r\n",
        b"GET http://x/content/ol8u10-x86_64/vmlinuz" + HOST + b"\r\n",
        REPORT + b"Content-Length: 100\r\n\r\nhalf",
    ):
        line = rack.client_socket(socket.AF_INET, socket.SOCK_STREAM)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect((SERVER, 8080))
        line.sendall(request)
        stuck.append(line)
    time.sleep(0.2)

    began = time.monotonic()
    rack.signal(signal.SIGTERM)
    assert rack.wait(timeout_s=30) == 0

    assert time.monotonic() - began < 25
    for line in stuck:
        line.close()

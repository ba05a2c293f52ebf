"""What each client sends by HTTP and what ends its boot, against a server that sends exactly these bytes."""

import asyncio
import hashlib
from ipaddress import IPv4Address

import pytest
from fixtures.raw_http import raw_http
from fixtures.scripted_machine import a_machine

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.http.agents import CURL, EDK2, GRUB, IGNITION, IPXE, LIBOSTREE, SHIM
from netboot.probe.http.http_client import HttpClient
from netboot.probe.loaded_file import FileMissingError

LOOPBACK = IPv4Address("127.0.0.1")


def ok(body, *fields, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def machine(**behaviour):
    return a_machine(address="127.0.0.1", **behaviour)


def get(agent, *responses, path="/x", requests=1, reader=None, **arguments):
    """Request a path as often as `requests`; return the answers and the server."""

    async def requested():
        async with raw_http(*responses) as server, HttpClient(reader or LOOPBACK, agent) as client:
            answers = [
                await asyncio.wait_for(client.get(server.base + path, step=Step.KERNEL, **arguments), 10)
                for _ in range(requests)
            ]
            return answers, server

    return asyncio.run(requested())


@pytest.mark.parametrize(
    ("agent", "head"),
    [
        (IPXE, "Connection: keep-alive\r\nUser-Agent: iPXE/1.0.0+git-20190125.36a4c85-5.1\r\nHost: HOST:PORT\r\n"),
        (EDK2, "Host: HOST\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n"),
        (SHIM, "Host: HOST\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n"),
        (GRUB, "Host: HOST\r\nUser-Agent: GRUB 2.06-13+deb12u2\r\n"),
        (CURL, "Host: HOST:PORT\r\nUser-Agent: curl/7.61.1\r\nAccept: */*\r\n"),
        (
            IGNITION,
            "Host: HOST:PORT\r\nUser-Agent: Ignition/2.14.0\r\n"
            "Accept: application/vnd.coreos.ignition+json;version=3.4.0, */*;q=0.1\r\nAccept-Encoding: identity\r\n",
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_client_sends_its_fields_in_its_order(agent, head):
    _, server = get(agent, [ok(b"body")], path="/a?b=c")

    host, _, port = server.base.removeprefix("http://").partition(":")
    ((_, request),) = server.requests
    assert request.decode() == f"GET /a?b=c HTTP/1.1\r\n{head}\r\n".replace("HOST", host).replace("PORT", port)


@pytest.mark.parametrize("agent", [IPXE, EDK2, LIBOSTREE, IGNITION], ids=lambda agent: agent.name)
def test_clients_that_keep_their_connection(agent):
    _, server = get(agent, [ok(b"one"), ok(b"two")], requests=2)

    assert [number for number, _ in server.requests] == [0, 0]


@pytest.mark.parametrize("agent", [GRUB, SHIM, CURL], ids=lambda agent: agent.name)
def test_clients_that_open_a_new_connection_for_each_file(agent):
    _, server = get(agent, [ok(b"one")], [ok(b"two")], requests=2)

    assert [number for number, _ in server.requests] == [0, 1]


def test_a_body_is_digested_and_handed_on_while_it_arrives():
    body = bytes(range(256)) * 4096
    received = bytearray()

    ((answer,), _) = get(IPXE, [ok(body)], path="/boot/vmlinuz", sink=received.extend)

    assert received == body
    assert (answer.size_bytes, answer.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert answer.body == body[: 16 << 10]
    assert (answer.file.name, answer.file.is_whole) == ("vmlinuz", False)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n"


def test_chunks_are_read_by_ipxe_and_not_by_edk2():
    ((answer,), _) = get(IPXE, [CHUNKED])
    assert answer.body == b"wikipedia"

    with pytest.raises(BootFailedError, match="no Content-Length that it can read"):
        get(EDK2, [CHUNKED])


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", "no Content-Length that it can read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length:4\r\n\r\nbody", "no Content-Length that it can read"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", "unsupported HTTP response"),
        (b"HTTP/1.1 200 OK\nContent-Length: 4\n\nbody", "LF without CR"),
        (b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", "status 302"),
    ],
)
def test_the_literal_parser_of_grub(response, reason):
    with pytest.raises(BootFailedError, match=reason):
        get(GRUB, [response], [ok(b"body")])

    assert get(CURL, [response], [ok(b"body")])[0][0].status == 200


def test_a_missing_file_is_an_error_of_its_own():
    with pytest.raises(FileMissingError, match=r"GRUB prints 'error: file not found\.'") as failed:
        get(GRUB, [ok(b"", status="404 Not Found")])

    assert failed.value.step is Step.KERNEL


def test_any_status_is_returned_on_request():
    ((answer,), _) = get(CURL, [ok(b"spent", status="404 Not Found")], any_status=True)

    assert (answer.status, answer.body) == (404, b"spent")


def test_edk2_fails_if_the_connection_is_closed_between_two_requests():
    with pytest.raises(BootFailedError, match="closed the connection"):
        get(EDK2, [ok(b"one")], [ok(b"two")], requests=2)


def test_ipxe_opens_another_connection_if_the_first_is_closed():
    answers, _ = get(IPXE, [ok(b"one")], [ok(b"two")], requests=2)

    assert [answer.body for answer in answers] == [b"one", b"two"]


def test_edk2_resumes_a_broken_download_by_range():
    first = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: 10\r\n\r\n0123'
    rest = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789"

    ((answer,), server) = get(EDK2, [first], [rest])

    assert (answer.status, answer.body) == (200, b"0123456789")
    assert server.requests[1][1].endswith(b'Range: bytes=4-\r\nIf-Match: "v1"\r\n\r\n')


@pytest.mark.parametrize(
    "rest",
    [
        ok(b"0123456789"),
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\n456789",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/11\r\nContent-Length: 6\r\n\r\n456789",
    ],
)
def test_a_wrong_rest_ends_edk2s_boot(rest):
    with pytest.raises(BootFailedError, match="the rest from byte 4"):
        get(EDK2, [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123"], [rest])


def test_a_download_that_breaks_ends_clients_that_do_not_resume():
    with pytest.raises(BootFailedError, match="closed the connection after 4 of 10 bytes"):
        get(IPXE, [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123"])


def test_ipxe_obeys_retry_after_and_follows_a_redirect():
    busy = ok(b"", "Retry-After: 0", status="503 Service Unavailable")
    elsewhere = ok(b"", "Location: /elsewhere", status="302 Found")

    ((answer,), server) = get(IPXE, [busy, elsewhere, ok(b"script")])

    assert answer.body == b"script"
    assert [request.split()[1] for _, request in server.requests] == [b"/x", b"/x", b"/elsewhere"]


def test_ipxe_fails_at_an_error_without_retry_after():
    with pytest.raises(BootFailedError, match="status 503"):
        get(IPXE, [ok(b"", status="503 Service Unavailable")])


def test_curl_repeats_a_status_of_the_servers_and_then_fails():
    busy = [ok(b"", status="503 Service Unavailable")]

    ((answer,), _) = get(CURL, busy, busy, busy, [ok(b"ks")], reader=machine())
    assert answer.body == b"ks"

    with pytest.raises(BootFailedError, match="status 503"):
        get(CURL, busy, busy, busy, busy, [ok(b"ks")], reader=machine())


def test_a_client_that_finds_no_server_fails_with_its_step():
    async def requested():
        async with raw_http() as server:
            url = server.base
        async with HttpClient(LOOPBACK, GRUB) as client:
            await client.get(url + "/x", step=Step.INITRD)

    with pytest.raises(BootFailedError, match="no TCP connection") as failed:
        asyncio.run(requested())

    assert failed.value.step is Step.INITRD


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"SSH-2.0-x\r\n\r\n", "unsupported HTTP response 'SSH-2.0-x'"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "has no name"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000, "longer than 16 kB"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "too long"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", "closed the connection after 23 bytes of a head"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk has no size"),
    ],
)
def test_a_malformed_response_ends_the_boot(response, reason):
    with pytest.raises(BootFailedError, match=reason):
        get(IPXE, [response])


def test_tokens_are_in_no_error():
    token = "0123456789abcdef0123456789abcdef"

    with pytest.raises(BootFailedError) as failed:
        get(CURL, [ok(b"", status="404 Not Found")], path=f"/ks/{token}")

    assert token not in str(failed.value) + str(failed.value.evidence)


def test_a_machine_that_is_switched_off_closes_its_connection():
    with pytest.raises(BootFailedError, match="switched off after"):
        get(IPXE, [ok(bytes(1_000_000))], reader=machine(aborts_at=Step.KERNEL))


def test_a_slow_machine_reads_slowly():

    async def timed():
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with raw_http([ok(bytes(30_000))]) as server, HttpClient(machine(bytes_per_s=100_000), IPXE) as client:
            await client.get(server.base + "/x", step=Step.KERNEL)
        return loop.time() - began_s

    assert asyncio.run(timed()) >= 0.29


def test_a_report_is_posted_with_its_length():
    async def posted():
        async with raw_http([ok(b"")]) as server, HttpClient(LOOPBACK, CURL) as client:
            await client.post(server.base + "/report", b"body", step=Step.POST)
            return server.requests[0][1]

    request = asyncio.run(posted())

    assert request.startswith(b"POST /report HTTP/1.1\r\n")
    assert request.endswith(b"Content-Length: 4\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n")

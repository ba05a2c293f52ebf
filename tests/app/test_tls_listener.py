"""The TLS listener on loopback, with clients of asyncio: who is served, who is refused, and for which reason."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from fixtures.certificates import server_pair
from serve.test_descriptors_scarce import free_port
from serve.test_engine import until
from serve.test_syslog_stream import ended

from netboot.app.tls.tls_listener import TlsListener
from netboot.model.access.certificate_files import CertificateFiles
from netboot.model.admin_listen import AddressEndpoint
from netboot.operate.certificates.server_certificate import tls_context
from netboot.serve.static_http.machine_limit import MachineLimit

pytestmark = pytest.mark.integration

TIMEOUT_S = 30.0
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@dataclass
class Site:
    """A listener with the last certificate of `contexts`, and its clients."""

    contexts: list[ssl.SSLContext]
    trusted: Path
    address: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    refused: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def listener(self, *, closed_interfaces: tuple[str, ...] = (), most: int = 9) -> TlsListener:
        return TlsListener(
            AddressEndpoint(ip_address(self.address), self.port),
            handler=Echo,
            context=lambda: self.contexts[-1],
            closed_interfaces=closed_interfaces,
            limit=MachineLimit(most),
            on_refused=self.refused.append,
        )

    async def plain(self) -> Line:
        """Connect without TLS."""
        self.lines.append(await asyncio.open_connection(self.address, self.port))
        return self.lines[-1]

    async def secure(self, trusted: Path | None = None) -> Line:
        """Connect with TLS, and verify the certificate."""
        context = ssl.create_default_context(cafile=str(trusted or self.trusted))
        connected = asyncio.open_connection(self.address, self.port, ssl=context, server_hostname="a.example")
        self.lines.append(await connected)
        return self.lines[-1]

    def run(self, talk: Callable[[TlsListener], Awaitable[None]], *, closed_interfaces: tuple[str, ...] = ()) -> None:
        """Listen, talk, and close all."""

        async def scenario() -> None:
            listener = self.listener(closed_interfaces=closed_interfaces, most=2)
            listener.open()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await talk(listener)
            finally:
                for _, writer in self.lines:
                    writer.transport.abort()
                await listener.close()

        asyncio.run(scenario())


def made(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate; return the context of a server, and the file that clients trust."""
    directory.mkdir(exist_ok=True)
    certificate, key = server_pair(directory, "a.example")
    return tls_context(CertificateFiles(certificate, key)), certificate


@pytest.fixture
def site(tmp_path: Path) -> Site:
    context, trusted = made(tmp_path / "first")
    return Site([context], trusted)


async def echoed(line: Line, sent: bytes = b"hello") -> bytes:
    line[1].write(sent)
    return await line[0].readexactly(len(sent))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_client_that_trusts_the_certificate_has_its_handler(site: Site, address: str):
    site.address = address

    async def talk(_listener: TlsListener) -> None:
        assert await echoed(await site.secure()) == b"hello"

    site.run(talk)

    assert site.refused == []


def test_a_request_in_clear_text_gets_the_url_to_use(site: Site):
    async def talk(_listener: TlsListener) -> None:
        reader, writer = await site.plain()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        body = f"this port answers HTTPS only: https://127.0.0.1:{site.port}/\n"
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        assert (await reader.read()).decode() == f"{head}Connection: close\r\n\r\n{body}"

    site.run(talk)

    assert site.refused == ["plain-http"]


def test_a_handshake_that_fails_is_counted_and_takes_no_place(site: Site, tmp_path: Path):
    _, other = made(tmp_path / "other")

    async def talk(_listener: TlsListener) -> None:
        for _ in range(3):  # a client may have two
            with pytest.raises(ssl.SSLCertVerificationError):
                await site.secure(other)
        _, writer = await site.plain()
        writer.write(b"\x16 is no handshake")
        await until(lambda: len(site.refused) == 4)
        assert await echoed(await site.secure()) == b"hello"

    site.run(talk)

    assert site.refused == ["handshake"] * 4


def test_a_client_that_only_connects_is_no_fault(site: Site):
    async def talk(listener: TlsListener) -> None:
        _, writer = await site.plain()
        writer.close()
        await until(lambda: [each.has_failed for each in listener._open] == [True])

    site.run(talk)

    assert site.refused == []


def test_a_client_gets_no_more_connections_than_the_limit(site: Site):
    async def talk(listener: TlsListener) -> None:
        first, second = [await site.secure() for _ in range(2)]
        assert await ended((await site.plain())[0])
        assert [await echoed(line) for line in (first, second)] == [b"hello"] * 2
        first[1].transport.abort()
        await until(lambda: sum(not each.is_closing() for each in listener._open) == 1)
        assert await echoed(await site.secure()) == b"hello"

    site.run(talk)

    assert site.refused == ["too-many"]


def test_the_interfaces_of_machines_are_closed(site: Site):
    async def talk(_listener: TlsListener) -> None:
        assert await ended((await site.plain())[0])

    site.run(talk, closed_interfaces=("lo",))

    assert site.refused == ["boot-interface"]


def test_a_renewal_is_for_new_connections_alone(site: Site, tmp_path: Path):
    renewed, trusted = made(tmp_path / "renewed")

    async def talk(_listener: TlsListener) -> None:
        before = await site.secure()
        site.contexts.append(renewed)
        after = await site.secure(trusted)
        assert [await echoed(line) for line in (before, after)] == [b"hello"] * 2

    site.run(talk)

    assert site.refused == []


def test_a_stop_keeps_what_is_open_and_a_close_ends_it(site: Site):
    async def talk(listener: TlsListener) -> None:
        line = await site.secure()
        waiting = await site.plain()  # its handshake has not begun
        await until(lambda: len(listener._open) == 2)
        await listener.stop()
        assert await ended(waiting[0])
        with pytest.raises(ConnectionRefusedError):
            await site.plain()
        assert await echoed(line) == b"hello"
        await listener.close()
        assert await ended(line[0])

    site.run(talk)


def test_a_port_that_is_in_use_is_an_error_and_leaves_no_socket(site: Site):
    async def talk(_listener: TlsListener) -> None:
        with pytest.raises(OSError, match="Address already in use"):
            site.listener().open()

    site.run(talk)

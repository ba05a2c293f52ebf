"""The registry's TLS listeners on loopback: opened and closed as addresses, port and certificate come and go."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.certificates import server_pair
from fixtures.content_listener import Recorder
from fixtures.listeners import default_shares
from serve.test_descriptors_scarce import free_port
from structlog.testing import capture_logs

from netboot.app.tls.registry_listener import RegistryListener
from netboot.content.serving.index import ContentIndex
from netboot.model.access.certificate_files import CertificateFiles, CertificateUse
from netboot.serve.static_http.static_files import StaticFiles
from netboot.telemetry.health import HealthPart, PartState

pytestmark = pytest.mark.integration

HERE, ALSO_HERE = "127.0.0.1", "127.0.0.2"
TIMEOUT_S = 30.0
NOW = datetime.now(UTC) + timedelta(days=1)


def with_registry(directory: Path, talk: Callable[[RegistryListener, int], Awaitable[None]]) -> None:
    async def scenario() -> None:
        recorder, port = Recorder(), free_port()
        files = StaticFiles(
            ContentIndex(directory), recorder, counters=recorder, shares=default_shares(), advertised={}
        )
        pair = CertificateFiles(directory / "own.pem", directory / "own.key", CertificateUse.REGISTRY)
        registry = RegistryListener(pair, files, port=port, now=lambda: NOW)
        await registry.open()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await talk(registry, port)
        finally:
            await registry.close(1.0)

    asyncio.run(scenario())


async def answered(port: int, address: str, trusted: Path) -> bytes:
    """Request `/v2/` and return the line of the status."""
    context = ssl.create_default_context(cafile=str(trusted))
    reader, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=HERE)
    try:
        writer.write(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return (await reader.readline()).strip()
    finally:
        writer.transport.abort()


def parts(registry: RegistryListener) -> list[tuple[str, PartState]]:
    return [(part.name, part.state) for part in registry.parts()]


def test_it_follows_the_addresses_and_serves_the_registry_at_each(tmp_path: Path):
    trusted, _ = server_pair(tmp_path, HERE)

    async def talk(registry: RegistryListener, port: int) -> None:
        before = registry.endpoints()
        await registry.listen([HERE, ALSO_HERE])
        assert (before, registry.endpoints(), registry.problems) == ([], [HERE, ALSO_HERE], [])
        assert [await answered(port, each, trusted) for each in registry.endpoints()] == [b"HTTP/1.1 200 OK"] * 2
        assert parts(registry) == [
            (f"{HERE}:{port}", PartState.OK),
            (f"{ALSO_HERE}:{port}", PartState.OK),
            ("certificate", PartState.OK),
        ]
        await registry.listen([ALSO_HERE])
        assert registry.endpoints() == [ALSO_HERE]
        with pytest.raises(ConnectionRefusedError):
            await answered(port, HERE, trusted)
        readings = {reading.gauge: reading.value for reading in registry.readings()}
        assert set(readings) == {"registry_connections", "registry_certificate_remaining_seconds"}
        assert readings["registry_certificate_remaining_seconds"] == pytest.approx(89 * 86400, abs=3600)

    with capture_logs() as logged:
        with_registry(tmp_path, talk)

    events = [(line["event"], line.get("address")) for line in logged if line["event"].startswith("registry.")]
    assert events == [("registry.opened", HERE), ("registry.opened", ALSO_HERE), ("registry.closed", HERE)]


def test_a_port_in_use_is_a_problem_of_its_address_that_is_logged_once_and_ends_with_it(tmp_path: Path):
    server_pair(tmp_path, HERE)

    async def talk(registry: RegistryListener, port: int) -> None:
        reason = (
            f"cannot listen on {HERE}, TCP port {port}: Address already in use; "
            "see registry.tls_port; ss -ltnp names the programs that listen"
        )
        with socket.create_server((HERE, port)):
            for _ in range(3):
                await registry.listen([HERE, ALSO_HERE])
            assert (registry.endpoints(), registry.problems) == ([ALSO_HERE], [reason])
            failed = HealthPart("registry", f"{HERE}:{port}", PartState.DEGRADED, (reason,))
            assert next(registry.parts()) == failed
        await registry.listen([HERE, ALSO_HERE])
        assert (registry.endpoints(), registry.problems) == ([HERE, ALSO_HERE], [])

    with capture_logs() as logged:
        with_registry(tmp_path, talk)

    assert [line["address"] for line in logged if line["event"] == "registry.bind_failed"] == [HERE]


def test_without_a_certificate_nothing_listens_until_there_is_one(tmp_path: Path):
    async def talk(registry: RegistryListener, port: int) -> None:
        await registry.listen([HERE])
        (problem,) = registry.problems
        reason = "No such file or directory; netboot ca issue --registry makes a certificate and its key"
        assert problem == f"registry.certificate: cannot read {tmp_path / 'own.pem'}: {reason}, or correct " + (
            "registry.certificate"
        )
        assert (registry.endpoints(), parts(registry)) == ([], [("certificate", PartState.DEGRADED)])
        assert [reading.gauge for reading in registry.readings()] == ["registry_connections"]
        trusted, _ = server_pair(tmp_path, HERE)
        for _ in range(2):  # the files must be the same at two looks
            await registry.listen([HERE])
        assert (registry.endpoints(), registry.problems) == ([HERE], [])
        assert await answered(port, HERE, trusted) == b"HTTP/1.1 200 OK"
        assert registry.warnings([HERE]) == []
        assert "192.0.2.9" in " ".join(registry.warnings(["192.0.2.9"]))

    with_registry(tmp_path, talk)

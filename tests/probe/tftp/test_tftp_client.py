"""Each client against tftpd-hpa, which is not ours, and against servers with one fault each."""

import asyncio
import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest
from fixtures.file_servers import tftpd_hpa
from fixtures.lan import Lan, a_lan
from netns import inside

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import LocalReader
from netboot.probe.loaded_file import FileMissingError, LoadedFile
from netboot.probe.machine import Behaviour
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.tftp.tftp_client import TftpClient
from netboot.probe.tftp.tftp_rules import (
    BIOS_ROM,
    BIOS_ROM_PROBE,
    EDK2,
    EDK2_PROBE,
    GRUB,
    IPXE,
    SHIM,
    U_BOOT,
    TftpRules,
)

SERVER, LOOPBACK = IPv4Address("192.0.2.10"), IPv4Address("127.0.0.1")
FILES = {
    "snponly.efi": os.urandom(173_792),
    "divisible": os.urandom(1456 * 30),
    "empty": b"",
    "big": os.urandom(5 << 20),
}
CLIENTS = [(BIOS_ROM, BIOS_ROM_PROBE), (EDK2, EDK2_PROBE), (IPXE, None), (GRUB, None), (SHIM, None), (U_BOOT, None)]


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """A LAN with tftpd-hpa on port 69."""
    directory = tmp_path_factory.mktemp("tftp")
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    with a_lan((f"{SERVER}/24", "192.0.2.50/24")) as lan, tftpd_hpa(lan.server, str(SERVER), directory):
        yield lan


def client(server: IPv4Address, port: int = 69, *, haste: float = 1.0, **more: object) -> TftpClient:
    reader = LocalReader(None, MachineTimeline(time.monotonic), Behaviour(haste=haste))
    return TftpClient(reader, server, port, **more)  # type: ignore[arg-type]


def read(lan: Lan, name: str, rules: TftpRules, probe: TftpRules | None, **more: object) -> LoadedFile:
    with inside(lan.client):
        return asyncio.run(client(SERVER, **more).read(name, rules, step=Step.LOADER, probe=probe))  # type: ignore[arg-type]


@pytest.mark.parametrize(("rules", "probe"), CLIENTS, ids=[rules.client for rules, _ in CLIENTS])
@pytest.mark.parametrize("name", FILES)
def test_every_client_reads_every_file_from_tftpd_hpa(
    lan: Lan, name: str, rules: TftpRules, probe: TftpRules | None
) -> None:
    file = read(lan, name, rules, probe)

    assert (file.size_bytes, file.sha256) == (len(FILES[name]), hashlib.sha256(FILES[name]).hexdigest())


def test_a_file_that_is_missing_there_has_the_text_of_each_client(lan: Lan) -> None:
    for rules, probe in CLIENTS:
        with pytest.raises(FileMissingError) as failed:
            read(lan, "other", rules, probe)
        assert rules.texts.missing in failed.value.sentence


def test_a_tenth_of_the_packets_is_lost(lan: Lan) -> None:
    chance = random.Random(3)

    def transit_s(_size_bytes: int) -> float | None:
        return None if chance.random() < 0.1 else 0.0

    file = read(lan, "divisible", IPXE, None, haste=4.0, transit_s=transit_s)

    assert file.sha256 == hashlib.sha256(FILES["divisible"]).hexdigest()


# Servers with a fault

Answer = Callable[[bytes], list[bytes]]


class FaultyServer(asyncio.DatagramProtocol):
    """Answers each packet by `answer`; keeps what it received."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.received: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(data)
        for packet in self._answer(data):
            self._transport.sendto(packet, addr)  # type: ignore[attr-defined]


def from_faulty(
    answer: Answer, rules: TftpRules, probe: TftpRules | None = None, **more: object
) -> tuple[LoadedFile, list[bytes]]:
    """Read from a server on loopback that answers all from its one port."""

    async def run() -> tuple[LoadedFile, list[bytes]]:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(
            lambda: FaultyServer(answer), local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        try:
            reader = client(LOOPBACK, port, haste=20.0, **more)
            file = await reader.read("x.efi", rules, step=Step.LOADER, probe=probe)
            await asyncio.sleep(0)
            return file, server.received
        finally:
            transport.close()

    return asyncio.run(run())


OACK = b"\0\6tsize\x004\0blksize\x001432\0"


def test_a_server_of_a_single_port_serves_every_client() -> None:
    def answer(packet: bytes) -> list[bytes]:
        return [b"\0\3\0\1body"] if packet[1] == 4 and packet[3] == 0 else [OACK] if packet[1] == 1 else []

    file, received = from_faulty(answer, IPXE)

    assert file.content == b"body"
    assert [packet[:2] for packet in received[:2]] == [b"\0\1", b"\0\4"]


def test_on_a_slow_line_the_last_acknowledgement_is_sent_before_the_socket_is_closed() -> None:
    """Without it the server would record a transfer that no client ended."""

    def answer(packet: bytes) -> list[bytes]:
        return [b"\0\3\0\1body"] if packet[1] == 4 and packet[3] == 0 else [OACK] if packet[1] == 1 else []

    _, received = from_faulty(answer, IPXE, transit_s=lambda _size_bytes: 0.002)

    assert received[-1] == b"\0\4\0\1"


@pytest.mark.parametrize(
    ("answer", "rules", "probe", "sentence"),
    [
        (lambda _: [], EDK2, EDK2_PROBE, "PXE-E18: Server response timeout"),
        (lambda _: [], BIOS_ROM, None, "PXE-E32: TFTP open timeout"),
        (lambda _: [OACK], EDK2, None, "PXE-E99.*OACK has tsize, which was not requested"),
        (lambda _: [b"\0\6blksize\x001468\0"], EDK2, EDK2_PROBE, "PXE-E53"),
        (lambda _: [b"\0\3\0\1body"], EDK2, EDK2_PROBE, "PXE-E99"),
        (lambda _: [b"\0\3\0\1body"], GRUB, None, "time out opening"),
        (lambda _: [b"\0\5\0\2no\x1b\0"], IPXE, None, r"ERROR 2 no\\x1b"),
        (lambda packet: [b"\0\6blksize\x001456\0"] if packet[1] == 1 else [], BIOS_ROM, None, "PXE-E35"),
    ],
)
def test_a_fault_of_a_server_has_the_text_of_the_firmware(
    answer: Answer, rules: TftpRules, probe: TftpRules | None, sentence: str
) -> None:
    with pytest.raises(BootFailedError, match=sentence) as failed:
        from_faulty(answer, rules, probe)

    assert failed.value.step is Step.LOADER
    assert failed.value.evidence


def test_a_size_that_is_not_that_of_the_file_is_found() -> None:
    def answer(packet: bytes) -> list[bytes]:
        return [b"\0\6tsize\x009\0"] if b"tsize" in packet else [b"\0\3\0\1body"] if packet[1] == 1 else []

    with pytest.raises(BootFailedError, match=r"read 4 bytes of x\.efi, but tsize was 9"):
        from_faulty(answer, EDK2, EDK2_PROBE)


def test_a_port_at_which_nothing_listens_ends_the_wait_at_once() -> None:
    with pytest.raises(BootFailedError, match="PXE-E22: Client received ICMP error"):
        asyncio.run(client(LOOPBACK, 9).read("x.efi", EDK2, step=Step.LOADER, probe=EDK2_PROBE))


def test_a_packet_from_another_port_is_ignored() -> None:
    async def run() -> LoadedFile:
        loop = asyncio.get_running_loop()
        other, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))

        class Disturbed(FaultyServer):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                super().datagram_received(data, addr)
                other.sendto(b"\0\3\0\1wrong", addr)

        def answer(packet: bytes) -> list[bytes]:
            return [OACK] if packet[1] == 1 else [b"\0\3\0\1body"] if packet[3] == 0 else []

        transport, _ = await loop.create_datagram_endpoint(lambda: Disturbed(answer), local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        try:
            return await client(LOOPBACK, port).read("x.efi", IPXE, step=Step.LOADER)
        finally:
            transport.close()
            other.close()

    assert asyncio.run(run()).content == b"body"

"""Servers that send what never ends, leads elsewhere, or is made to exhaust a simulated machine."""

import asyncio
import time
from ipaddress import IPv4Address

import pytest
from fixtures.raw_http import raw_http
from fixtures.scripted_machine import Files, a_machine

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.http.agents import CURL, IPXE
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.embedded_archive import _members
from netboot.probe.installer.first_boot import _reports
from netboot.probe.installer.kickstart_document import read_kickstart
from netboot.probe.loaded_file import FileRecorder, FileTooLargeError, largest_bytes
from netboot.probe.scripts.grub_script import run_grub_script
from netboot.probe.scripts.ipxe_script import run_ipxe_script

LOOPBACK = IPv4Address("127.0.0.1")
TOKEN = "0123456789abcdef0123456789abcdef"
SCRIPT_URL = "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01.ipxe"


def get(response: bytes, *, agent=IPXE, step: Step = Step.SCRIPT) -> BootFailedError:
    """Request a file that is answered so; return how it fails, within ten seconds."""

    async def requested() -> None:
        async with raw_http([response]) as server, HttpClient(LOOPBACK, agent) as client:
            await asyncio.wait_for(client.get(f"{server.base}/x", step=step), 10)

    with pytest.raises(BootFailedError) as failed:
        asyncio.run(requested())
    return failed.value


@pytest.mark.parametrize("size", [b"-5", b"-1", b"+5", b"1_0", b"0x5", b"f" * 16, b""])
def test_a_chunk_of_a_negative_or_endless_size_is_not_read(size: bytes) -> None:
    chunks = size + b"\r\n" + bytes(1 << 20)

    assert "a chunk has no size" in str(get(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks))


def test_fields_behind_the_chunks_end() -> None:
    chunks = b"0\r\n" + b"X: y\r\n" * 100_000

    assert "more than 64 fields" in str(get(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks))


@pytest.mark.parametrize(
    "location",
    ["http://[::1/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", f"http://{'a' * 70}.test/", "\x1b[2J"],
)
def test_a_redirect_that_is_no_url_ends_the_boot(location: str) -> None:
    error = get(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    assert "\x1b" not in str(error)


@pytest.mark.parametrize("target", ["boot/52-54-00-aa-bb-01.ipxe", f"ks/{TOKEN}", "x/grub.cfg-01-52-54-00-aa-bb-02"])
@pytest.mark.parametrize("agent", [IPXE, CURL], ids=lambda agent: agent.name)
def test_no_redirect_leads_to_a_script_or_a_token(agent, target: str) -> None:
    error = get(f"HTTP/1.1 302 Found\r\nLocation: /{target}\r\nContent-Length: 0\r\n\r\n".encode(), agent=agent)

    assert "belongs to one boot" in str(error)
    assert TOKEN not in str(error) + str(error.evidence)


def test_a_script_that_never_ends_is_not_read_for_an_hour() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n" + bytes(17 << 20)

    assert "no machine reads" in str(get(body))


def test_a_program_that_has_more_than_a_firmware_has_memory() -> None:
    recorder = FileRecorder(kept_bytes=0, largest_bytes=10)
    recorder.write(bytes(10))

    with pytest.raises(FileTooLargeError):
        recorder.write(b"1")
    assert largest_bytes(Step.INITRD) == 2 << 30
    assert largest_bytes(Step.OSTREE) is None


def run_ipxe(text: str) -> BootFailedError:
    files = Files()
    with pytest.raises(BootFailedError) as failed:
        asyncio.run(run_ipxe_script(a_machine(), f"#!ipxe\n{text}", url=SCRIPT_URL, fetch=files.fetch))
    return failed.value


def run_grub(text: str) -> BootFailedError:
    files = Files()
    with pytest.raises(BootFailedError) as failed:
        asyncio.run(run_grub_script(a_machine(), text, url=SCRIPT_URL, fetch=files.fetch))
    return failed.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("set i 0\n:l\ninc i\nset x${i} " + "y" * 10_000 + "\ngoto l\n", "Out of memory"),
        ("set a " + "y" * 8000 + "\n:l\nset b x ${a}\ngoto l\n", "does not end"),
        (":l\nkernel http://192.0.2.10/vmlinuz\ngoto l\n", "more than 256 files"),
        ("kernel http://[::1/vmlinuz\n", "is no URL"),
        ("chain http://[::1/vmlinuz\n", "is no URL"),
    ],
)
def test_an_ipxe_script_that_is_a_bomb(text: str, message: str) -> None:
    assert message in run_ipxe(text).sentence


def test_a_number_of_ipxe_has_32_bits() -> None:
    hexadecimal = "0x" + "f" * 10_000

    assert "does not end after" in run_ipxe(f"set a {hexadecimal}\ninc a\nset b ${{a:uint32}}\n:l\ngoto l\n").sentence


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("set a=" + "y" * 16_000 + "\necho " + "$a" * 50_000, "too long"),
        ("set a=" + "y" * 10_000 + "\nwhile true; do set i=1$i; set x$i=$a; done", "variables have more than"),
        ("while true; do linux (http,192.0.2.10)/vmlinuz; done", "more than 256 files"),
        ("while true; do for a in 1 2 3; do true; done; done", "does not end after"),
    ],
)
def test_a_grub_script_that_is_a_bomb(text: str, message: str) -> None:
    assert message in run_grub(text).sentence


def test_a_member_of_an_archive_with_a_negative_size_does_not_lead_back() -> None:
    name = b"a\0"
    header = b"070701" + b"0" * 48 + b"-0000070" + b"0" * 32 + b"%08x" % len(name) + b"0" * 8

    with pytest.raises(ValueError, match="has no numbers"):
        for _ in _members(header + name):
            pass


def test_the_scripts_of_a_first_boot_are_searched_in_linear_time() -> None:
    content = "data:," + "http://" * 100_000 + f"192.0.2.10/report/{TOKEN}/ready"
    unit = {"name": "a.service", "enabled": True, "contents": "ExecStart=" + "/opt/a " * 1000}
    config = {"storage": {"files": [{"path": "/opt/a", "contents": {"source": content}}]}, "systemd": {"units": [unit]}}
    began_s = time.process_time()

    list(_reports(config))

    assert time.process_time() - began_s < 5


def test_an_include_without_a_file_or_with_a_token_is_a_note_without_it() -> None:
    document = read_kickstart(f"%include\n%include http://192.0.2.10/ks/{TOKEN}/\x1b[2J\n")

    assert any(note.startswith("%include : ") for note in document.notes)
    assert not any(TOKEN in note or "\x1b" in note for note in document.notes)

"""The appliance's present answers, byte for byte: packets, scripts, documents, files, the API.

`make golden` writes `golden/` anew; read the difference: each line of it is a change that machines or programs see.
Times, tokens and transaction numbers come from the fakes; only paths, the process and validators are normalised.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from safety import wire
from safety.appliance import MEDIUM, RELEASES, Appliance, Response, TftpError, link_shared
from safety.declared import A1, AT_FIRST, POOL, REGISTERED_ADDRESS, B, C, X
from safety.memory_network import SERVER

GOLDEN = Path(__file__).parent / "golden"
ARMED, UNARMED, UNKNOWN = (A1, REGISTERED_ADDRESS), (C, POOL[1]), (X, POOL[2])
_UNSTABLE_HEADERS = {"date", "etag"}
Record = Callable[[str, object], None]


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    """Gather answers by name, and compare them with the golden file of the test at its end."""
    entries: list[str] = []

    def take(name: str, answer: object) -> None:
        entries.append(f"== {name}\n{_text(answer)}\n")

    yield take
    name = request.node.name.removeprefix("test_").replace("[", "-").removesuffix("]")
    golden, found = GOLDEN / f"{name}.txt", "".join(entries)
    if request.config.getoption("--golden"):
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.fixture
def start(shared: Path, tmp_path: Path) -> Iterator[Callable[..., Appliance]]:
    """Start an appliance on which cp1 is armed for two boots, and close it at the end."""
    boxes = []

    def started(**settings: str) -> Appliance:
        link_shared(shared, tmp_path)
        box = Appliance(tmp_path, AT_FIRST.text(), **settings)
        boxes.append(box)
        assert box.arm("cp1", attempts=2) == 200
        return box

    yield started
    for box in boxes:
        box.close()


def _text(answer: Any) -> str:
    match answer:
        case bytes():
            return _hex(answer)
        case TftpError():
            return f"TFTP error {answer.code}: {answer.message}"
        case Response():
            headers = [f"{name}: {value}" for name, value in answer.headers.items() if name not in _UNSTABLE_HEADERS]
            body = _hex(answer.body) if b"\0" in answer.body else answer.body.decode()
            return "\n".join([str(answer.status), *headers, "", body])
        case list():
            return "\n".join(map(_text, answer)) or "no answer"
        case ((source, _), to, data):
            return f"from {source} to {to[0]}:{to[1]}: {_hex(data)}"
        case _:
            return str(answer)


def _hex(data: bytes) -> str:
    """Write bytes as hex, runs of zeros shortened."""
    pieces = re.split(rb"(\0{8,})", data)
    return "".join(f"[00*{len(piece)}]" if piece.startswith(bytes(8)) else piece.hex() for piece in pieces)


def announces(box: Appliance, mac: str, address: str) -> None:
    box.dhcp(67, wire.discover(wire.UEFI, mac, 1))
    box.dhcp(67, wire.lan_request(mac, 1, address))


# Packets


@pytest.mark.parametrize("unknown", ["ignore", "wait"])
def test_dhcp_replies(record: Record, start: Callable[..., Appliance], unknown: str):
    box = start(unknown=unknown)
    machines = {"armed": ARMED, "unarmed": UNARMED, "unregistered": UNKNOWN}
    for firmware, (who, (mac, address)), is_ipxe in product(wire.FIRMWARES, machines.items(), (False, True)):
        name = f"{firmware.name}{' ipxe' if is_ipxe else ''}, {who}"
        box.advance(100)

        record(f"67 {name}", box.udp(67, wire.discover(firmware, mac, 5, is_ipxe=is_ipxe), ("0.0.0.0", 68)))
        request = wire.boot_server_request(firmware, mac, 6, address, is_ipxe=is_ipxe)
        record(f"4011 {name}", box.udp(4011, request, (address, 4011)))


def test_dhcp_replies_of_a_server_that_leases(record: Record, start: Callable[..., Appliance]):
    box = start(mode="reservation")
    for who, (mac, _address) in {"armed": ARMED, "unarmed": UNARMED, "unregistered": UNKNOWN}.items():
        discover = wire.discover(wire.UEFI, mac, 5)
        record(f"DISCOVER {who}", box.udp(67, discover, ("0.0.0.0", 68), wait_s=1))
    options = [(50, bytes((192, 0, 2, 101))), (54, bytes((192, 0, 2, 10))), *wire.of_firmware(wire.UEFI, A1)]
    record("REQUEST armed", box.udp(67, wire.message(wire.REQUEST, A1, 5, options), ("0.0.0.0", 68), wait_s=1))
    options[0] = (50, bytes((192, 0, 2, 99)))
    record("REQUEST of another address", box.udp(67, wire.message(wire.REQUEST, A1, 5, options), ("0.0.0.0", 68)))


def test_tftp_replies(record: Record, start: Callable[..., Appliance]):
    box = start()
    announces(box, *ARMED)
    options = b"tsize\x000\0blksize\x001428\0windowsize\x004\0"
    requests = {
        "plain": b"\0\1snponly.efi\0octet\0",
        "options": b"\0\1snponly.efi\0octet\0" + options,
        "netascii": b"\0\1undionly.kpxe\0netascii\0",
        "another spelling": b"\0\1\\SNPONLY.EFI\0octet\0",
        "no such file": b"\0\1nothing\0octet\0",
        "out of the directory": b"\0\1../hosts.yaml\0octet\0",
        "a write": b"\0\2snponly.efi\0octet\0",
        "no mode": b"\0\1snponly.efi\0",
        "an acknowledgement": b"\0\4\0\1",
    }
    for number, (name, request) in enumerate(requests.items()):
        sent = box.udp(69, request, (REGISTERED_ADDRESS, 2000 + number))
        record(name, [data for _source, _to, data in sent])


# Scripts


def test_scripts(record: Record, start: Callable[..., Appliance]):
    box = start(unknown="wait")
    machines = {"armed": ARMED, "unarmed": UNARMED, "unregistered": UNKNOWN}
    for who, (mac, address) in machines.items():
        box.advance(1)
        _record_scripts(record, box, f"{who}, not announced", mac, address)
        announces(box, mac, address)
        record(f"{who}, HEAD", box.http("HEAD", f"/boot/{mac}.ipxe", address))
        _record_scripts(record, box, who, mac, address)
    _record_scripts(record, box, "armed, from another's address", A1, UNARMED[1])
    box.advance(30)  # a machine takes longer than a moment to restart
    announces(box, *ARMED)
    box.http("GET", f"/boot/{A1}.ipxe", REGISTERED_ADDRESS)
    box.advance(30)
    announces(box, *ARMED)
    _record_scripts(record, box, "every boot spent", *ARMED)


def _record_scripts(record: Record, box: Appliance, who: str, mac: str, address: str) -> None:
    record(f"{who}: iPXE", box.http("GET", f"/boot/{mac}.ipxe", address))
    record(f"{who}: GRUB by HTTP", box.http("GET", f"/boot/{mac}/grub.cfg", address))
    for name in (f"grub/grub.cfg-01-{mac.replace(':', '-')}", "grub/grub.cfg", "autoexec.ipxe"):
        read = box.tftp(name, address)
        record(f"{who}: {name} by TFTP", read if isinstance(read, TftpError) else read.decode())


def test_scripts_of_unregistered_machines_that_are_ignored(record: Record, start: Callable[..., Appliance]):
    box = start()
    announces(box, *UNKNOWN)
    _record_scripts(record, box, "unregistered", *UNKNOWN)


def test_scripts_without_dhcp(record: Record, start: Callable[..., Appliance]):
    box = start(mode="off")
    record("DISCOVER", box.udp(67, wire.discover(wire.UEFI, A1, 5), ("0.0.0.0", 68)))
    _record_scripts(record, box, "armed", *ARMED)
    _record_scripts(record, box, "unarmed", *UNARMED)


# Documents and reports


def test_documents_of_an_install(record: Record, start: Callable[..., Appliance]):
    box = start()
    assert box.arm("cp2") == box.arm("w1") == 200
    for mac, address in ((A1, REGISTERED_ADDRESS), (B, POOL[0]), (C, POOL[1])):
        announces(box, mac, address)
        token = wire.installer_token(box.http("GET", f"/boot/{mac}.ipxe", address).body)
        _record_install(record, box, mac, address, f"/ks/{token}")


def _record_install(record: Record, box: Appliance, mac: str, address: str, kickstart: str) -> None:
    def takes(what: str, method: str, path: str, source: str = address, body: bytes = b"") -> Response:
        response = box.http(method, path, source, body)
        record(f"{mac}: {what}", response)
        return response

    takes("Kickstart, HEAD", "HEAD", kickstart)
    takes("Kickstart, from another's address", "GET", kickstart, UNKNOWN[1])
    served = takes("Kickstart", "GET", kickstart).body
    report, ignition = f"/report/{wire.report_token(served)}", f"/ign/{wire.ignition_token(served)}"
    takes("an unknown report", "POST", f"{report}/nonsense")
    takes("started, from another's address", "POST", f"{report}/started", UNKNOWN[1])
    takes("started", "POST", f"{report}/started")
    takes("Kickstart after started", "GET", kickstart)
    takes("done", "POST", f"{report}/done")
    takes("done once more", "POST", f"{report}/done")
    takes("started after done", "POST", f"{report}/started")
    takes("Ignition, from another's address", "GET", ignition, UNKNOWN[1])
    for part in ("", "/role", "/overlay"):
        takes(f"Ignition{part}", "GET", f"{ignition}{part}")
    takes("ready", "POST", f"{report}/ready")
    takes("Ignition after ready", "GET", ignition)


def test_answers_to_tokens_that_open_nothing(record: Record, start: Callable[..., Appliance]):
    box = start()
    for path in (f"/ks/{'0' * 32}", "/ks/short", f"/ign/{'0' * 32}", f"/ign/{'0' * 32}/role", f"/ign/{'0' * 32}/other"):
        record(f"GET {path}", box.http("GET", path, REGISTERED_ADDRESS))
    record("a report", box.http("POST", f"/report/{'0' * 32}/done", REGISTERED_ADDRESS))


# Files


def test_files_by_http(record: Record, start: Callable[..., Appliance]):
    box = start()
    paths = (
        "/healthz",
        "/bootfiles/grubx64.efi",
        f"/boot/{A1}/grubx64.efi",
        f"/boot/{A1}/autoexec.ipxe",
        "/bootfiles/nothing",
        "/boot/no-mac.ipxe",
        f"/content/{MEDIUM}/vmlinuz",
        f"/content/{MEDIUM}/nothing",
        f"/ostree/{RELEASES[0]}/config",
        f"/ostree/{RELEASES[0]}/refs/heads/ock",
        "/",
    )
    for path, method in product(paths, ("GET", "HEAD", "POST")):
        record(f"{method} {path}", box.http(method, path, REGISTERED_ADDRESS))


# The operator


def test_answers_of_the_api(record: Record, start: Callable[..., Appliance]):
    box = start()

    def client_requests(method: str, path: str, body: Any = None) -> None:
        record(f"{method} {path}{'' if body is None else f' {body}'}", _normalised(box, box.api(method, path, body)))

    with _an_install(box):
        for path in ("/installs", "/hosts/cp1", "/hosts/cp1/install", "/machines"):
            client_requests("GET", path)
    for path in ("/status", "/hosts", "/hosts/cp1/history", "/installs", "/content/uses", "/events?follow=0"):
        client_requests("GET", path)
    client_requests("GET", "/hosts/nobody")
    client_requests("POST", "/hosts/w1/arm", {"reason": "again", "attempts": 3})
    client_requests("POST", "/hosts/w1/arm", {"attempts": 0})
    client_requests("POST", "/hosts/nobody/arm")
    client_requests("POST", "/installs/arm", {"hosts": ["cp2", "w1"]})
    client_requests("POST", "/hosts/w1/cancel", {"reason": "enough"})
    client_requests("POST", "/hosts/w1/cancel")
    client_requests("POST", "/content/rescan")
    client_requests("POST", "/reload")
    box.edit_hosts(AT_FIRST.changed("cp2", disk="/dev/vdb").text())
    client_requests("POST", "/reload")
    box.edit_hosts(replace(AT_FIRST, fault="  w9: {role: worker, mac: none}\n").text())
    client_requests("POST", "/reload")
    client_requests("GET", "/status")


@contextmanager
def _an_install(box: Appliance) -> Iterator[None]:
    """Install cp1, and stop in the middle of it."""
    announces(box, *ARMED)
    announces(box, *UNKNOWN)
    box.advance(2)
    token = wire.installer_token(box.http("GET", f"/boot/{A1}.ipxe", REGISTERED_ADDRESS).body)
    report = wire.report_token(box.http("GET", f"/ks/{token}", REGISTERED_ADDRESS).body)
    box.http("POST", f"/report/{report}/started", REGISTERED_ADDRESS)
    box.advance(60)
    yield
    box.http("POST", f"/report/{report}/failed", REGISTERED_ADDRESS, b"no disk\ndisks present:\nsda 1G\n")
    box.advance(60)


def _normalised(box: Appliance, response: Response) -> Response:
    text = response.body.decode().replace(str(box.directory), "DIRECTORY")
    text = re.sub(r'"pid": \d+', '"pid": PID', text)
    text = re.sub(r'"version": "[^"]*"', '"version": VERSION', text)
    text = re.sub(r'"(used|logs|captures|store)": \d+', r'"\1": BYTES', text)  # of the disk, which are written later
    text = re.sub(r"/[^\"]*/shared/", "SHARED/", text)
    body = re.sub(r"(?<=[}\]]), (?=[{\[])", ",\n ", text).encode()
    return replace(response, headers=response.headers | {"content-length": "LENGTH"}, body=body)


def test_the_server_address_is_what_the_golden_files_hold():
    assert f"from {SERVER} " in (GOLDEN / "dhcp_replies-ignore.txt").read_text()

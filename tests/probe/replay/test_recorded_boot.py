"""The boots of tests/captures are read as they happened."""

from pathlib import Path

import pytest

from netboot.model.host.mac import Mac
from netboot.probe.replay.capture_file import CaptureFileError, read_capture
from netboot.probe.replay.recorded_boot import DhcpRequest, HttpRequest, RecordedBoot, TftpRequest, recorded_boot

CAPTURES = Path(__file__).parents[2] / "captures"


def boot_in(name: str) -> RecordedBoot:
    return recorded_boot(read_capture(CAPTURES / f"{name}.pcapng"))


def lines(boot: RecordedBoot) -> list[str]:
    """Describe each request in a line, without tokens."""
    found = []
    for request in boot.requests:
        match request:
            case DhcpRequest():
                found.append(f"dhcp {request.kind} to {request.server or 'all'}:{request.port}")
            case TftpRequest():
                found.append(f"tftp {request.name} {'aborted' if request.is_aborted else request.error or 'read'}")
            case HttpRequest():
                found.append(f"{request.method} {request.target.split('/')[1]} {request.status}")
    return found


def test_every_capture_has_a_story_and_the_boot_of_one_machine():
    stories = (CAPTURES / "README.md").read_text()
    files = sorted(CAPTURES.glob("*.pcapng"))

    assert len(files) == 11
    for file in files:
        assert f"`{file.name}`" in stories
        assert recorded_boot(read_capture(file)).requests


def test_a_boot_by_port_4011_is_read_in_its_order():
    assert lines(boot_in("edk2-pxe-4011")) == [
        "dhcp 1 to all:67",
        "dhcp 3 to all:67",
        "dhcp 3 to 192.0.2.10:4011",
        "tftp snponly.efi aborted",
        "tftp snponly.efi read",
        "dhcp 1 to all:67",
        "dhcp 3 to all:67",
        "GET boot 200",
        "GET content 200",
        "GET content 200",
        "GET ks 200",
    ]


def test_the_appliance_is_the_server_of_the_boot_files_also_beside_another_pxe_server():
    boot = boot_in("foreign-server")

    assert str(boot.appliance) == "192.0.2.10"
    assert {str(each.server) for each in boot.requests if isinstance(each, TftpRequest)} == {
        "192.0.2.10",
        "192.0.2.5",
        "192.0.2.1",
    }


def test_the_requests_of_a_release_and_the_reports_are_read_with_their_bodies():
    requests = [each for each in boot_in("edk2-pxe").requests if isinstance(each, HttpRequest)]
    checks = next(each for each in requests if each.target.endswith("/checks"))

    assert (checks.method, checks.status) == ("POST", 200)
    assert checks.body.startswith(b"netboot-checks ") or b"disks present" in checks.body
    assert sum("/objects/" in each.target for each in requests) == 12


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no capture"),
        (b"#!ipxe\n" * 100, "is no capture"),
        (b"\x0a\x0d\x0d\x0a" + b"\xff" * 60, "is no capture"),
    ],
)
def test_a_file_that_is_no_capture_is_an_error_with_its_name_and_the_cure(tmp_path: Path, content: bytes, reason: str):
    file = tmp_path / "boot.pcapng"
    file.write_bytes(content)

    with pytest.raises(CaptureFileError) as raised:
        read_capture(file)
    assert str(file) in str(raised.value)
    assert reason in str(raised.value)


def test_a_file_that_is_missing_is_an_error_with_its_name(tmp_path: Path):
    with pytest.raises(CaptureFileError, match=r"cannot read .*none\.pcapng: No such file"):
        read_capture(tmp_path / "none.pcapng")


def test_a_cut_capture_has_what_was_recorded_before(tmp_path: Path):
    file = tmp_path / "cut.pcapng"
    file.write_bytes((CAPTURES / "edk2-pxe.pcapng").read_bytes()[:9_000])

    assert lines(recorded_boot(read_capture(file)))[:2] == ["dhcp 1 to all:67", "dhcp 3 to all:67"]


def test_a_machine_that_the_capture_has_not_is_an_error_that_lists_those_that_it_has():
    datagrams = read_capture(CAPTURES / "edk2-pxe.pcapng")

    with pytest.raises(CaptureFileError, match="it has 52:54:00:aa:bb:01"):
        recorded_boot(datagrams, mac=Mac.parse("52:54:00:aa:bb:99"))

"""`doctor --listen`: how what is heard is printed; tests/doctor/listening has it on a LAN."""

import json
import signal
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

import pytest
from fixtures.command_line import CommandLine

from netboot.cli.commands.appliance.listening import _print_end, _report
from netboot.doctor.listening.judged_request import JudgedRequest
from netboot.doctor.listening.listen import Heard, HeardMachine, HeardServer
from netboot.model.boot.other_server import OtherServer, ServerEffect, ServerKind
from netboot.model.host.mac import Mac

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
MAC = Mac("52:54:00:aa:bb:01")
SERVER = OtherServer(
    IPv4Address("192.0.2.5"), None, "eth1", ServerKind.DHCP, ServerEffect.NONE, "", "", False, None, AT, AT, 1
)  # fmt: skip
PXE = OtherServer(
    IPv4Address("192.0.2.5"), MAC, "eth1", ServerKind.PROXY, ServerEffect.PXE_SERVER, "", "", False, None, AT, AT, 1
)  # fmt: skip
BOOT = JudgedRequest(
    MAC, "cp1", "pxe/x64-uefi", "firmware", "", "192.0.2.1", "loader", "snponly.efi", "it is armed\x1b"
)
UNKNOWN = JudgedRequest(None, why="it is no boot client")


def machine(request: JudgedRequest) -> HeardMachine:
    return HeardMachine(AT, "eth1", 67, request)


@pytest.mark.parametrize(
    ("heard", "line"),
    [
        (
            machine(BOOT),
            f"eth1 {MAC} (cp1) pxe/x64-uefi firmware through relay 192.0.2.1: "
            "would be offered the loader snponly.efi by TFTP: it is armed\ufffd",
        ),
        (machine(UNKNOWN), "eth1 unknown: would be offered nothing: it is no boot client"),
        (
            HeardServer(AT, SERVER),
            "eth1 the DHCP server 192.0.2.5 on eth1 leases addresses and sends no boot file",
        ),
        (
            HeardServer(AT, PXE),
            f"eth1 the PXE server 192.0.2.5 ({MAC}) on eth1 answers boot requests, so machines may boot from it "
            "instead of netboot; stop it, or let it ignore the machines of netboot; docs/other-servers.md",
        ),
    ],
)
def test_what_is_heard_is_one_line(capsys: pytest.CaptureFixture[str], heard: Heard, line: str):
    _report(heard, as_json=False)

    assert capsys.readouterr().out == f"{AT.astimezone():%H:%M:%S} {line}\n"


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        (machine(BOOT), {"kind": "machine", "port": 67, "mac": MAC, "host": "cp1", "result": "loader"}),
        (HeardServer(AT, SERVER), {"kind": "server", "at": AT.isoformat()}),
    ],
)
def test_json_has_an_object_for_each(capsys: pytest.CaptureFixture[str], heard: Heard, shown: dict[str, Any]):
    _report(heard, as_json=True)

    found = json.loads(capsys.readouterr().out)
    assert found.items() >= shown.items()


def test_what_was_left_out_is_stated(capsys: pytest.CaptureFixture[str]):
    for left_out, as_json in ((0, False), (1, False), (2, False), (0, True)):
        _print_end(left_out, as_json=as_json)

    out, err = capsys.readouterr()
    assert err.splitlines() == ["not shown: 1 further change", "not shown: 2 further changes"]
    assert json.loads(out) == {"kind": "end", "left_out": 0}


def test_it_listens_for_the_wanted_time_and_restores_how_a_signal_is_handled(netboot: CommandLine):
    done = netboot("doctor", "--listen", "--interface", "lo", "--seconds", "1", "--json")

    assert (done.exit_code, done.exception) == (0, None)
    assert json.loads(done.stdout.splitlines()[-1]) == {"kind": "end", "left_out": 0}
    assert "listening on lo; nothing is sent; Ctrl-C ends it" in done.stderr
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

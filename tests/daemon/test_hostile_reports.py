"""A machine with valid tokens of its own sends reports that nobody wrote: none fails, grows the store or escapes."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.files import SETTINGS, write_boot_files, write_files
from fixtures.rack import Machine, Rack, running, token_in

pytestmark = pytest.mark.integration

CHECKS = "netboot-checks 1\nfirmware pass {}\ndisk pass /dev/sdz\nmembers pass none\n"
ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e"
BODIES = [
    b"",
    bytes(1000),
    b"\xff\xfe" * 40_000,
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b"\r\n" * 30_000,
    ESCAPES.encode() * 100,
    CHECKS.format(ESCAPES).encode(),
    b"netboot-checks 1\n" + b"a pass b\n" * 40,
    b"netboot-checks 1\nfirmware pass a\nfirmware pass a\n",
    "".join(f"nic eth{number}{ESCAPES}\n" for number in range(3000)).encode(),
    "disk sda\nsize_bytes 99999999999999999999\nrotational 7\nmemory_kib \u0661\n".encode() * 500,
    *(random.Random(seed).randbytes(3000) for seed in range(10)),
]


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    """An appliance that inspects unregistered machines; cp1 is armed."""
    settings = SETTINGS.replace("[hosts.yaml]", "[hosts.yaml], unknown: inspect, inspect_media: ol8u10-x86_64")
    directory = write_files(tmp_path, settings=settings)
    write_boot_files(directory / "boot")
    with running(directory) as rack:
        rack.netboot("install", "arm", "cp1")
        yield rack


def reporting(rack: Rack) -> tuple[Machine, str]:
    """Boot cp1 into its installer; return the machine and the token of its reports."""
    cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    cp1.boots()
    return cp1, token_in(cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body, "report")


def test_no_report_of_a_machine_fails_or_reaches_a_terminal_as_it_is(rack: Rack):
    cp1, token = reporting(rack)
    unregistered = rack.machine("52:54:00:99:99:99", "192.0.2.60")
    unregistered.boots()
    inspection = token_in(unregistered.script(), "inspect")

    own = {event: {cp1.post(f"/report/{token}/{event}", body) for body in BODIES} for event in ("checks", "failed")}
    others = {
        machine.post(f"/report/{foreign}/{event}", body)
        for machine, foreign in ((cp1, inspection), (unregistered, token))
        for event in ("checks", "inspected", "failed", "ready", "log")
        for body in BODIES[:8]
    }
    inspected = unregistered.post(f"/report/{inspection}/inspected", b"cpu " + ESCAPES.encode() + b"\n" + BODIES[10])
    printed = "".join(
        rack.run(*command).stdout
        for command in (
            ("host", "list", "--discovered"),
            ("host", "show", "cp1"),
            ("install", "show", "cp1"),
            ("install", "history", "cp1"),
            ("install", "watch", "cp1", "--no-follow"),
        )
    )
    [found] = json.loads(rack.netboot("host", "list", "--discovered", "--json"))

    assert own == {"checks": {400}, "failed": {200}}
    assert others == {403, 404}
    assert inspected == 200
    assert [sign for sign in printed if not sign.isprintable() and sign not in "\n\t"] == []
    assert len(found["inspection"]["hardware"]["cards"]) == 64
    assert found["inspection"]["hardware"]["cpu"].isascii()
    assert [line for line in rack.log.splitlines() if not line.startswith("{") or "Traceback" in line] == []


def test_a_machine_that_reports_other_checks_again_and_again_adds_nothing_to_its_history(rack: Rack):
    cp1, token = reporting(rack)

    statuses = [cp1.post(f"/report/{token}/checks", CHECKS.format(number).encode()) for number in range(50)]

    assert statuses == [200] + [404] * 49
    history = json.loads(rack.netboot("install", "history", "cp1", "--json"))
    assert [move["what"] for move in history].count("checks-passed") == 1
    assert len(rack.lines("install.moved")) == len(history)

"""`netboot simulate --replay`: recorded boots of firmware, and of this daemon's own captures, against a real daemon."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.simulations import Simulations, simulations

pytestmark = pytest.mark.integration

CAPTURES = Path(__file__).parents[1] / "captures"
HOST = "52:54:00:aa:bb:01"


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulations]:
    with simulations(tmp_path_factory.mktemp("replay")) as running:
        yield running


def test_a_recorded_boot_is_played_and_what_differs_is_printed(lan: Simulations):
    found = lan.run("--replay", str(CAPTURES / "bios-ipxe-rom.pcapng"))

    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert "bios-ipxe-rom.pcapng, the boot of 52:54:00:aa:bb:03, played as 02:6e:62:" in lines[0]
    assert lines[-3:] == [
        "! kernel      GET /content/lab-installer/vmlinuz, status: recorded 200, now 404",
        "! initrd      GET /content/lab-installer/initrd.img, status: recorded 200, now 404",
        "7 answers of 7 requests compared: 2 differences",
    ]


def test_the_same_as_json(lan: Simulations):
    found = lan.found("--replay", str(CAPTURES / "bios-ipxe-rom.pcapng"))

    assert (found["ok"], found["recorded_mac"], found["recorded_appliance"], found["requests"], found["compared"]) == (
        False,
        "52:54:00:aa:bb:03",
        "192.0.2.10",
        7,
        7,
    )
    assert found["differences"][0] == {
        "step": "kernel",
        "what": "GET /content/lab-installer/vmlinuz, status",
        "recorded": "200",
        "now": "404",
    }


def test_a_host_is_replayed_only_with_spend_and_nothing_is_stored_before(lan: Simulations):
    lan.rack.netboot("install", "arm", "cp1", "--reason", "test")
    before = lan.settled()

    refused = lan.run("--replay", str(CAPTURES / "edk2-pxe.pcapng"), "--mac", HOST)

    assert (refused.exit_code, lan.stored()) == (1, before)
    assert f"cp1 is registered with {HOST}, and a replay sends what its machine sent" in str(refused.exception)
    lan.rack.netboot("install", "cancel", "cp1")


def test_a_boot_of_a_host_that_the_daemon_recorded_is_replayed_without_a_difference(lan: Simulations, tmp_path: Path):
    lan.rack.netboot("install", "arm", "cp1", "--reason", "test")
    played = lan.found("--mac", HOST, "--spend", "--firmware", "edk2-pxe")
    assert played["end"] == "ready", played
    capture = tmp_path / "boot.pcapng"
    lan.rack.netboot("install", "capture", "cp1", "--boot", "-1", "-o", str(capture))  # 0 is its first boot

    lan.rack.netboot("install", "arm", "cp1", "--reason", "test")
    found = lan.found("--replay", str(capture), "--spend")

    left_out = ["POST /report/TOKEN-HIDDEN/checks: its body was not recorded"]
    assert (found["differences"], found["left_out"], found["failure"]) == ([], left_out, None)
    assert (found["ok"], found["mac"]) == (True, HOST)
    assert lan.install("cp1")["state"] == "installed"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--recorded-mac", HOST], "--recorded-mac belongs to --replay FILE"),
        (["--replay", "boot.pcapng", "--until", "loader"], "leave --hosts, --behave and --until out"),
        (["--replay", "boot.pcapng", "--hosts", "2"], "leave --hosts, --behave and --until out"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(lan: Simulations, options: list[str], sentence: str):
    found = lan.run(*options)

    assert (found.exit_code, sentence in found.stderr) == (2, True)


def test_a_file_that_is_missing_is_named(lan: Simulations):
    found = lan.run("--replay", "/nowhere/boot.pcapng")

    assert found.exit_code == 1
    assert "cannot read /nowhere/boot.pcapng: No such file or directory" in str(found.exception or found.stderr)

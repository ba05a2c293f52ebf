"""No simulation spends an arming or changes what the appliance has of a host without --spend; with a live daemon."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.simulations import FURTHER, Simulations, simulations

from netboot.model.install.event import Step

pytestmark = pytest.mark.integration

CP1, W1 = "52:54:00:aa:bb:01", "52:54:00:12:34:56"
NOBODY = "52:54:00:77:00:01"
STEPS = [step.value for step in Step if step is not Step.FAILED]


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulations]:
    """cp1 is armed, w1 is not."""
    with simulations(tmp_path_factory.mktemp("simulations")) as made:
        made.rack.netboot("install", "arm", "cp1", "--reason", "the real machine")
        yield made


@pytest.mark.parametrize("until", STEPS)
def test_a_simulation_of_an_armed_host_changes_nothing_that_is_stored(lan: Simulations, until: str):
    before = lan.settled()

    found = lan.found("--mac", CP1, "--until", until)

    assert found["ok"] is True
    assert (found["scope"], found["host"]) == ("rehearsal", "cp1")
    assert lan.stored() == before


@pytest.mark.parametrize(
    "firmware", ["bios", "edk2-pxe-4011", "edk2-http", "ipxe-rom", "ipxe-loader-autoexec", "shim-grub"]
)
def test_no_firmware_changes_what_is_stored_of_an_armed_host(lan: Simulations, firmware: str):
    before = lan.settled()

    lan.found("--mac", CP1, "--firmware", firmware)

    assert lan.stored() == before


def test_a_deviant_machine_and_a_lossy_link_change_nothing_either(lan: Simulations):
    before = lan.settled()

    lan.found("--mac", CP1, "--behave", "off-during-kernel", "--behave", "duplicates", "--loss", "2", "--seed", "7")

    assert lan.stored() == before


def test_a_rehearsal_reads_every_file_and_names_what_it_does_not_send(lan: Simulations):
    result = lan.run("--mac", CP1)

    assert result.exit_code == 0
    assert "nothing is sent as 52:54:00:aa:bb:01" in result.output
    for text in ("snponly.efi by TFTP", "vmlinuz by HTTP", "images/install.img", "24 objects", "Ignition merged"):
        assert text in result.output
    assert "--spend plays the rest" in result.output


def test_files_are_not_read_from_the_address_of_a_host(lan: Simulations):
    hosts = lan.rack.directory / "hosts.yaml"
    text = hosts.read_text()
    hosts.write_text(text.replace(f"mac: {W1}", f"mac: {W1}, network: {{address: 192.0.2.90/24}}"))
    lan.rack.netboot("reload")
    before = lan.settled()

    results = [lan.run("--mac", mac, "--address", "192.0.2.90/24") for mac in (CP1, NOBODY)]

    assert [result.exit_code for result in results] == [1, 1]
    assert "192.0.2.90 is the address of w1" in str(results[0].exception)
    assert lan.stored() == before
    hosts.write_text(text)
    lan.rack.netboot("reload")


def test_without_an_api_the_script_of_a_mac_is_not_requested(lan: Simulations, tmp_path: Path):
    elsewhere = tmp_path / "netboot.yaml"

    result = lan.run("--config", str(elsewhere), "--mac", NOBODY)

    assert result.exit_code == 0
    assert "ends before the script" in result.output
    assert "the script is not requested" in result.output
    assert "TFTP" in result.output


def test_an_unregistered_machine_is_played_up_to_its_script_which_waits(lan: Simulations):
    found = lan.found("--mac", "02:6e:62:77:00:01")

    assert found["ok"] is True
    assert (found["scope"], found["end"]) == ("unregistered", "waits")
    assert [each["step"] for each in found["comparison"]["steps"]] == ["offer", "loader", "script"]
    assert lan.addresses == ["192.0.2.66"]


def test_a_machine_that_the_server_identifies_by_its_uuid_first_is_compared_by_both_records(lan: Simulations):
    found = lan.found("--firmware", "edk2-guid-chaddr")

    assert found["ok"] is True, found["comparison"]
    assert [each["step"] for each in found["comparison"]["steps"]] == ["offer", "loader", "script"]


def test_a_real_machine_that_is_not_registered_is_refused(lan: Simulations):
    lan.rack.machine("52:54:00:99:99:99", "192.0.2.60").discover()

    result = lan.run("--mac", "52:54:00:99:99:99")
    lan.rack.lan.ip(lan.rack.client_namespace, "addr", "del", "192.0.2.60/24", "dev", "c0")

    assert result.exit_code == 1
    assert "is a machine that requested a boot before" in str(result.exception)


def test_an_unarmed_host_with_spend_boots_its_own_disk(lan: Simulations):
    found = lan.found("--mac", FURTHER["w2"], "--spend")

    assert (found["ok"], found["end"]) == (True, "local-disk")
    assert lan.install("w2")["state"] == "registered"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_releases_the_lease_and_removes_the_address(lan: Simulations, number: signal.Signals, code: int):
    with lan.process("--slow", "2k", "--mac", f"02:6e:62:77:01:{number:02x}") as process:
        assert process.stdout is not None
        seen = ""
        while "chose the offer" not in seen:
            seen += process.stdout.readline()
        during = lan.addresses
        process.send_signal(number)
        seen += process.communicate(timeout=10)[0]

    assert len(during) == 2
    assert process.returncode == code, seen
    assert lan.addresses == ["192.0.2.66"]
    assert during[1] not in (lan.rack.directory / "leases").read_text()


def test_with_spend_the_script_alone_spends_a_boot_and_says_so_before(lan: Simulations):
    lan.rack.netboot("install", "arm", "w3")

    result = lan.run("--mac", FURTHER["w3"], "--spend", "--until", "script")
    lines = result.output.splitlines()

    assert result.exit_code == 0, result.output
    note = next(number for number, line in enumerate(lines) if "also with --until script" in line)
    assert note < next(number for number, line in enumerate(lines) if "DISCOVER" in line)
    install = lan.install("w3")
    assert (install["state"], install["arming"]["spent"]) == ("loading", 1)


def test_a_real_boot_that_runs_is_not_disturbed(lan: Simulations):
    lan.rack.netboot("install", "arm", "w4")
    lan.run("--mac", FURTHER["w4"], "--spend", "--until", "script")

    result = lan.run("--mac", FURTHER["w4"], "--spend")

    assert result.exit_code == 1
    assert "w4 boots now" in str(result.exception)


def test_with_spend_an_armed_host_is_installed_once_and_ready(lan: Simulations):
    lan.rack.netboot("install", "arm", "w5")
    with lan.process("--mac", FURTHER["w5"], "--spend") as process:
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert "the server's record agrees with the machine's" in output
    install = lan.install("w5")
    assert (install["state"], install["armed"]) == ("ready", False)
    spent = [
        line for line in lan.rack.lines("install.moved") if line.get("by") == "script-sent" and line["host"] == "w5"
    ]
    assert len(spent) == 1


def test_the_api_of_another_computer_is_used_with_a_token_and_a_verified_certificate(lan: Simulations, tmp_path: Path):
    token = tmp_path / "token"
    made = lan.rack.run("token", "create", f"simulate{time.monotonic_ns()}", "--role", "read-only", "--json")
    token.write_text(made.stdout.split('"token": "')[1].split('"')[0])
    elsewhere = ("--config", str(tmp_path / "none.yaml"), "--api", "https://192.0.2.10:8443", "--until", "loader")
    authority = ("--ca", str(lan.rack.directory / "tls/ca.pem"))

    found = lan.found(*elsewhere, *authority, "--token-file", str(token), "--mac", W1)
    without_token = lan.run(*elsewhere, *authority, "--mac", W1)
    untrusted = lan.run(*elsewhere, "--token-file", str(token), "--mac", W1)

    assert (found["ok"], found["scope"], found["host"]) == (True, "rehearsal", "w1")
    assert without_token.exit_code == 1
    assert "--ca" in str(untrusted.exception)
    assert token.read_text() not in str(found)

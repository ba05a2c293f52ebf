"""Power actions of a real daemon on sushy-tools' emulator: kill -9 at any moment neither forgets nor repeats one."""

import random
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.daemon import Daemon, wait_until
from fixtures.files import write_boot_files
from fixtures.html_page import HtmlPage
from fixtures.redfish_emulator import PASSWORD, USER, EmulatedMachine, HeldReset, emulated_bmc

from netboot.bmc.credentials import BmcCredentials, write_credentials
from netboot.model.bmc.bmc import Bmc

pytestmark = pytest.mark.integration

SETTINGS: Final = """\
admin: {socket: control.sock}
content: {directory: content}
store: {url: "sqlite+aiosqlite:///netboot.db"}
records: {directory: records}
bootfiles: {directories: [bootfiles]}
log: {format: json}
bmc: {timeout_s: 5}
"""
W1: Final = "/api/v1/hosts/w1/power"
HTML: Final = ("-H", "Accept: text/html")
ENDS: Final = ("done", "incomplete", "failed", "unknown", "cancelled")


@pytest.fixture
def machine() -> EmulatedMachine:
    return EmulatedMachine("6d1f0cd5-2c75-4b05-8a0f-1f5b8c1d0a01", power="On")


@pytest.fixture
def daemon(tmp_path: Path, machine: EmulatedMachine) -> Iterator[Daemon]:
    """A daemon whose host w1 is that machine."""
    with emulated_bmc(machine, directory=tmp_path) as url:
        write_boot_files(tmp_path / "bootfiles")
        found = Daemon(tmp_path)
        found.config.write_text(SETTINGS)
        (tmp_path / "hosts.yaml").write_text(
            f'hosts: {{w1: {{role: worker, mac: 52:54:00:aa:bb:01, bmc: "{url}"}}, '
            "w2: {role: worker, mac: 52:54:00:aa:bb:02}}\n"
        )
        write_credentials(tmp_path / "bmc.d" / "w1", BmcCredentials(USER, PASSWORD), Bmc(url))
        try:
            found.start()
            yield found
        finally:
            found.stop()


def request(daemon: Daemon, action: str) -> str:
    found = daemon.api(W1, "-d", f'{{"action": "{action}"}}')
    assert found.get("state") == "requested", found
    return str(found["id"])


def ended(daemon: Daemon, intent: str) -> dict[str, Any]:
    """Wait for the end of an intent."""

    def read() -> dict[str, Any] | None:
        found: dict[str, Any] = daemon.api(f"/api/v1/power/intents/{intent}?wait_s=5")
        return found if found["state"] in ENDS else None

    return wait_until(read)


def problems_of(daemon: Daemon) -> list[str]:
    return list(daemon.api("/api/v1/status")["problems"])


def events_of(daemon: Daemon, intent: str) -> list[tuple[str, str, str]]:
    """List the events of an intent, oldest first: name, actor, outcome."""
    found = daemon.api("/api/v1/activity?event=power.*&limit=100")
    mine = [each for each in found if each["data"].get("intent") == intent]
    return [(each["event"], each["data"]["actor"], each["data"].get("outcome", "")) for each in reversed(mine)]


def test_commands_switch_a_machine_and_print_what_its_bmc_did(daemon: Daemon, machine: EmulatedMachine):
    assert "w1\ton\t" in daemon.netboot("power", "status", "w1")
    assert daemon.netboot("power", "on", "w1") == "w1 is on already\n"
    assert daemon.netboot("power", "off", "w1", "--wait") == "w1: power off is done\n"
    assert daemon.netboot("power", "pxe", "w1", "--wait") == "w1: power pxe is done\n"
    assert (machine.resets, machine.boots) == (["ForceOff", "On"], ["Pxe"])
    assert "w1\ton\t–\tpxe done, by uid 0 at " in daemon.netboot("power", "status", "w1").replace("\tOSRunning", "\t–")
    assert daemon.netboot("power", "status", "--all") == daemon.netboot("power", "status", "w1")
    assert "no BMC is declared for w2; set hosts.w2.bmc, or press its power button" in daemon.netboot(
        "power", "cycle", "w1", "w2", status=1
    )
    assert machine.resets == ["ForceOff", "On"]


def test_another_machine_at_the_address_of_a_bmc_is_not_changed(daemon: Daemon, machine: EmulatedMachine):
    """Its address was written for another host: the install of that one was not judged."""
    machine.macs = ("52:54:00:aa:bb:02",)

    printed = daemon.netboot("power", "pxe", "w1", "--force", status=1)

    assert "its cards have the MACs 52:54:00:aa:bb:02, none of the host; correct bmc.url or mac" in printed
    assert (machine.resets, machine.boot_device) == ([], "Hdd")


def test_no_url_is_written_into_a_firmware_while_no_interface_is_served(daemon: Daemon, machine: EmulatedMachine):
    """What a BIOS once has stays there."""
    printed = daemon.netboot("power", "pxe", "w1", "--http-uri", "--force", status=1)

    assert printed == (
        "netboot: cannot power pxe: this appliance serves no interface of the boot LAN now, so that the URL for the "
        "firmware of w1 is not known; see netboot check, and network.interfaces\nnothing was requested\n"
    )
    assert daemon.api(W1)["intents"] == []
    assert (machine.resets, machine.boots, machine.boot_device) == ([], [], "Hdd")


def test_each_action_is_in_the_audit_trail_with_its_actor(daemon: Daemon):
    intent = request(daemon, "cycle")
    ended(daemon, intent)

    found = wait_until(lambda: events if len(events := events_of(daemon, intent)) == 3 else None)
    assert found == [
        ("power.requested", "uid 0", ""),
        ("power.sent", "uid 0", ""),
        ("power.ended", "uid 0", "done"),
    ]


@pytest.mark.parametrize(
    ("action", "end"),
    [
        pytest.param("cycle", "unknown", id="no-state-shows-a-cycle"),
        pytest.param("off", "done", id="the-state-shows-that-it-is-off"),
    ],
)
def test_a_daemon_that_is_killed_while_it_sends_a_reset_does_not_send_it_again(
    daemon: Daemon, machine: EmulatedMachine, action: str, end: str
):
    machine.on_reset = held = HeldReset()
    intent = request(daemon, action)
    assert held.has_come.wait(30), daemon.log
    daemon.kill()
    held.may_end.set()
    sent = len(machine.resets)

    daemon.start()

    found = ended(daemon, intent)
    assert (found["state"], len(machine.resets), sent) == (end, 1, 1), found
    unknown = [f"power {action} of w1 was done or not: {found['detail']}"] if end == "unknown" else []
    wait_until(lambda: [each for each in problems_of(daemon) if "power" in each] == unknown or None)
    assert events_of(daemon, intent)[:2] == [("power.requested", "uid 0", ""), ("power.sent", "uid 0", "")]


def test_a_kill_at_any_moment_neither_forgets_nor_repeats_an_action(daemon: Daemon, machine: EmulatedMachine):
    moments = random.Random(18)
    ends = []
    for _ in range(6):
        before = len(machine.resets)
        killed = threading.Timer(moments.uniform(0.0, 0.6), daemon.kill)
        intent = request(daemon, "pxe")
        killed.start()
        killed.join()

        daemon.start()

        found = ended(daemon, intent)
        sent = len(machine.resets) - before
        ends.append((found["state"], sent))
        assert found["state"] in {"done", "unknown"}, found
        assert sent <= 1
        assert found["state"] == "unknown" or sent == 1
    assert any(state == "done" for state, _ in ends), ends


def page(daemon: Daemon, path: str) -> HtmlPage:
    return HtmlPage.of(daemon.api_text(path, *HTML))


def post(daemon: Daemon, path: str, body: bytes) -> str:
    """Send a form; return the status and where it leads."""
    form = ("--data", body.decode(), "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}")
    return daemon.api_text(path, *HTML, *form).decode().replace("http://localhost", "")


def test_a_form_of_the_pages_requests_an_action_once(daemon: Daemon, machine: EmulatedMachine):
    (form,) = page(daemon, "/hosts/w1/power-off").forms

    assert post(daemon, "/hosts/w1/power-off", form.body()) == "303 /hosts/w1"
    intent = daemon.api("/api/v1/hosts/w1/power")["intents"][0]
    assert ended(daemon, intent["id"])["state"] == "done"
    assert post(daemon, "/hosts/w1/power-off", form.body()) == "422 "

    assert machine.resets == ["ForceOff"]
    read = next(each for each in page(daemon, "/hosts/w1").forms if each.action == "/hosts/w1/power")
    assert post(daemon, read.action, read.body()) == "303 /hosts/w1"
    shown = page(daemon, "/hosts/w1")
    assert "off, read " in " ".join(shown.texts("dd"))
    assert "power off" in page(daemon, "/").texts("span", class_="tag")


def test_a_bmc_is_examined_and_its_answers_are_recorded_without_secrets(daemon: Daemon, machine: EmulatedMachine):
    file = daemon.directory / "w1.zip"

    printed = daemon.netboot("bmc", "probe", "w1", "-o", str(file))

    rows = [line.split("\t")[:2] for line in printed.splitlines() if "\t" in line]
    assert rows[0] == ["ABILITY", "WORKS"]
    assert {name: works for name, works in rows[1:] if name in ("login", "machine", "power-state")} == {
        "login": "yes",
        "machine": "yes",
        "power-state": "yes",
    }
    with zipfile.ZipFile(file) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"netboot.json", "redfish/v1/index.json"} < texts.keys()
    assert [name for name, text in texts.items() if PASSWORD in text or machine.macs[0] in text] == []
    probed = daemon.api("/api/v1/hosts/w1/bmc/probe", "-X", "POST")
    assert (probed["host"], probed["recording"], machine.resets) == ("w1", None, [])
    refused = daemon.api("/api/v1/hosts/w2/bmc/probe", "-X", "POST")
    assert (refused["status"], refused["code"]) == (409, "bmc-refused")

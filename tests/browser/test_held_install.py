"""An install that waits for a person: the page of the host, the confirmation with both sides, and what follows."""

from pathlib import Path

import pytest
from fixtures.browser import Appearance, Pages, axe, screenshot
from fixtures.files import SETTINGS, write_files
from fixtures.rack import Machine, Rack
from fixtures.rack_in_use import CP1
from playwright.sync_api import expect

pytestmark = pytest.mark.integration

REPORTS = "?manufacturer=Dell&product=R650&serial=7XK{serial}&uuid={uuid}&switch=sw1&switch_port=Eth1/3"
FIRST = REPORTS.format(serial=1, uuid="4c4c4544-0042-3510-8052-b4c04f4e3332")
SECOND = REPORTS.format(serial=2, uuid="4c4c4544-0042-3510-8052-b4c04f4e3333")


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An appliance on which a person confirms each arming."""
    return write_files(tmp_path_factory.mktemp("held"), settings=SETTINGS + "install: {require: approval}\n")


def held(machine: Machine, reports: str) -> str:
    machine.boots()
    return machine.get(f"/boot/{machine.mac}.ipxe{reports}").body


def test_an_operator_confirms_the_machine_and_its_install_goes_on(pages: Pages, rack: Rack):
    machine = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1", "--force")
    waiting = held(machine, FIRST)
    page = pages.open("/hosts/cp1")
    expect(page.get_by_text("cp1 is held").first).to_be_visible()
    screenshot(page, "held-host-light")

    assert "held, a person must confirm it: netboot install show cp1\n" in rack.netboot("install", "list")
    rack.netboot("install", "confirm", "cp1")
    going = machine.get(f"/boot/{machine.mac}.ipxe{FIRST}").body
    rack.netboot("install", "cancel", "cp1")
    rack.netboot("install", "arm", "cp1", "--force")
    again = held(machine, SECOND)
    for appearance in Appearance:
        page = pages.open("/hosts/cp1/confirm", appearance)
        expect(page.get_by_text("serial number 7XK2 instead of 7XK1").first).to_be_visible()
        axe(page)
        screenshot(page, f"confirm-{appearance}")
    page.get_by_role("button", name="Confirm the machine of cp1").click()
    expect(page.get_by_text("cp1 confirmed: the install goes on within seconds").first).to_be_visible()
    after = machine.get(f"/boot/{machine.mac}.ipxe{SECOND}").body

    assert ["inst.ks=" in script for script in (waiting, going, again, after)] == [False, True, False, True]

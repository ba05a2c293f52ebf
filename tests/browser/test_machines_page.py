"""Unregistered machines in Chromium: they appear as they request a boot, and several are approved by a form."""

from pathlib import Path

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.files import SETTINGS, write_boot_files, write_files
from fixtures.rack import Rack
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

FIRST = ("52:54:00:99:00:01", "192.0.2.71")
SECOND = ("52:54:00:99:00:02", "192.0.2.72")
THIRD = ("52:54:00:99:00:03", "192.0.2.73")


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An appliance that lets unregistered machines wait, and that commands can add hosts to."""
    directory = tmp_path_factory.mktemp("discovering")
    settings = SETTINGS.replace("[hosts.yaml]", "[hosts.yaml, hosts.d], unknown: wait")
    write_files(directory, settings=settings + "bootfiles: {directories: [boot]}\n")
    write_boot_files(directory / "boot")
    (directory / "hosts.d").mkdir()
    return directory


def row(page: Page, mac: str):
    return page.get_by_role("row").filter(has_text=mac)


def test_machines_appear_live_and_two_are_approved_after_a_preview(pages: Pages, rack: Rack):
    page = pages.open("/machines")
    for mac, address in (FIRST, SECOND):
        rack.machine(mac, address).boots()
        rack.machine(mac, address).script()
    expect(row(page, FIRST[0])).to_be_visible()
    expect(row(page, SECOND[0])).to_be_visible()

    page.get_by_label(f"Select {FIRST[0]}").check()
    page.get_by_label(f"Select {SECOND[0]}").check()
    page.get_by_role("button", name="Approve").click()
    page.get_by_label("Role").select_option("worker")
    page.get_by_label("Name").fill("node-{n}")
    page.get_by_label("Addresses").fill(f"{FIRST[1]}/24\n{SECOND[1]}/24")
    page.get_by_role("button", name="Preview").click()

    expect(page.get_by_role("heading", name="Preview: this would be written")).to_be_visible()
    expect(page.get_by_role("heading", name="node-1")).to_be_visible()
    axe(page)
    screenshot(page, "approve-preview")
    assert list((rack.directory / "hosts.d").iterdir()) == []

    page.get_by_role("button", name="Approve").click()

    expect(page.get_by_text("node-1, node-2 registered")).to_be_visible()
    assert sorted(file.name for file in (rack.directory / "hosts.d").iterdir()) == ["node-1.yaml", "node-2.yaml"]
    assert "192.0.2.71" in rack.netboot("host", "list")


def test_a_refused_form_keeps_what_was_typed(pages: Pages, rack: Rack):
    machine = rack.machine(*THIRD)
    machine.boots()
    page = pages.open(f"/machines/approve?mac={machine.mac}", Appearance.NARROW)
    pages.expect("/machines/approve.*4")
    page.get_by_label("Role").select_option("worker")
    page.get_by_label("Disk").fill("relative")

    page.get_by_role("button", name="Preview").click()

    expect(page.get_by_role("alert")).to_contain_text("relative")
    expect(page.get_by_label("Disk")).to_have_value("relative")
    axe(page)
    assert_fits(page)


def test_what_is_selected_stays_while_machines_appear(pages: Pages, rack: Rack):
    rack.machine(*THIRD).boots()
    page = pages.open("/machines")
    page.get_by_label(f"Select {THIRD[0]}").check()

    other = rack.machine("52:54:00:99:00:04", "192.0.2.74")
    other.boots()

    expect(row(page, other.mac)).to_be_visible()
    expect(page.get_by_label(f"Select {THIRD[0]}")).to_be_checked()

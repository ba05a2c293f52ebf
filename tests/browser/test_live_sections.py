"""Parts of a page that come later, such as the result of an inspection, are shown without a reload."""

from pathlib import Path

import pytest
from fixtures.browser import Pages
from fixtures.rack import Rack, token_in
from fixtures.rack_in_use import INSPECTED_HARDWARE, write_rack_in_use
from playwright.sync_api import expect

pytestmark = pytest.mark.integration

NEW = ("52:54:00:99:99:01", "192.0.2.61")


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("inspecting")
    write_rack_in_use(directory)
    return directory


def test_a_machine_and_its_inspection_appear_while_their_pages_are_open(pages: Pages, rack: Rack):
    machines = pages.open("/machines")
    none = machines.get_by_text("No unregistered machine requested a boot")
    expect(none).to_be_visible()
    machine = rack.machine(*NEW)

    machine.discover()
    expect(machines.get_by_label(f"Select {machine.mac}")).to_be_visible()
    expect(none).to_be_hidden()
    page = pages.open(f"/machines/{machine.mac}")
    page.evaluate("window.isMarked = true")
    machine.boots()
    assert machine.report(token_in(machine.script(), "inspect"), "inspected", INSPECTED_HARDWARE) == 200

    expect(page.get_by_role("rowheader", name="vda")).to_be_visible()
    assert page.evaluate("window.isMarked")

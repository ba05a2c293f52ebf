"""The page of the appliance: the check, a reload with its result, a test of a hook, and no secret."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.daemon import LOW_PRIORITY_S
from fixtures.rack import Rack, running
from fixtures.rack_in_use import write_rack_in_use
from playwright.sync_api import expect

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checked")
    write_rack_in_use(directory)
    return directory


@pytest.fixture(scope="module")
def rack(rack_directory: Path) -> Iterator[Rack]:
    with running(rack_directory) as rack:
        yield rack


@pytest.mark.parametrize("appearance", Appearance)
def test_the_check_of_the_command_is_shown_with_its_problems(pages: Pages, rack: Rack, appearance: Appearance):
    page = pages.open("/appliance", appearance)

    expect(page.locator("#check")).to_contain_text("netboot check", timeout=LOW_PRIORITY_S * 1000)
    expect(page.locator("#check")).to_contain_text("hosts.w4: cannot find release missing")
    expect(page.locator("#check")).not_to_contain_text("A check runs.", timeout=LOW_PRIORITY_S * 1000)
    screenshot(page, f"appliance-checked-{appearance}")
    axe(page)
    assert_fits(page)


def test_a_check_runs_again_at_the_button(pages: Pages, rack: Rack):
    page = pages.open("/appliance")
    page.get_by_role("button", name="Check now").click(timeout=LOW_PRIORITY_S * 1000)

    expect(page.get_by_role("status").filter(has_text="The check runs.")).to_be_visible()
    expect(page.get_by_role("button", name="Check now")).to_be_visible(timeout=LOW_PRIORITY_S * 1000)


def test_a_reload_shows_what_it_took_and_a_fault_with_its_line(pages: Pages, rack: Rack):
    page = pages.open("/appliance")
    page.get_by_role("button", name="Reload files").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("reloaded: 6 hosts"))).to_be_visible()

    file = rack.directory / "netboot.yaml"
    text = file.read_text()
    file.write_text(text + "tftp: {port: none}\n")
    pages.expect("422")
    page.get_by_role("button", name="Reload files").click()

    expect(page.get_by_role("alert")).to_contain_text("what was accepted before stays in force")
    file.write_text(text)  # after the answer: the daemon has read it
    expect(page.get_by_role("alert")).to_contain_text("tftp.port")
    screenshot(page, "appliance-reload-refused")
    axe(page)
    assert page.title().startswith("Refused")


def test_a_hook_is_tested_and_the_failure_is_shown(pages: Pages, rack: Rack):
    page = pages.open("/appliance")
    page.get_by_role("row", name="mail").get_by_role("button", name="Send a test").click()

    expect(page.get_by_role("status").filter(has_text="was not delivered to mail at /bin/false")).to_be_visible()


def test_the_settings_have_their_places_and_the_secrets_are_hidden(pages: Pages, rack: Rack):
    page = pages.open("/appliance")

    expect(page.locator("#settings-store")).to_contain_text("hidden")
    expect(page.locator("#settings-network")).to_contain_text("netboot.yaml:1")
    expect(page.locator("#settings-dhcp")).to_contain_text("default")

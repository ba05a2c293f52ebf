"""The rack in a browser: select, confirm, follow; by keyboard; nothing that the operator did is lost by an update."""

import re
from pathlib import Path

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.files import HOSTS, write_files
from fixtures.rack import Rack
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

MORE = "".join(
    f"  n{number}: {{role: worker, mac: '52:54:02:00:00:{number:02x}', labels: {{row: r{number % 2}}}}}\n"
    for number in range(1, 9)
)


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("rack"), hosts=HOSTS + MORE)


def select(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()


def test_selected_hosts_are_armed_after_a_confirmation_and_the_page_shows_it(pages: Pages, rack: Rack):
    page = pages.open("/")
    select(page, "n1", "n2")
    expect(page.locator("#selected")).to_have_text("2 selected:")

    page.get_by_role("button", name="Arm", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Arm 2 hosts")
    axe(page)
    page.get_by_label("Reason").fill("by hand")
    page.get_by_role("button", name="Arm 2 hosts").click()

    expect(page.locator(".notice.good")).to_contain_text("n1, n2 armed")
    expect(page.locator("#host-n1")).to_contain_text("armed")
    assert rack.install("n2")["arming"]["reason"] == "by hand"


def test_without_scripts_the_same_form_works(pages: Pages, rack: Rack):
    page = pages.open("/", java_script_enabled=False)
    select(page, "n3")

    page.get_by_role("button", name="Arm", exact=True).click()
    page.get_by_role("button", name="Arm n3").click()

    expect(page.locator(".notice.good")).to_contain_text("n3 armed")
    assert rack.install("n3")["armed"]


def test_an_update_keeps_selection_focus_and_what_is_typed(pages: Pages, rack: Rack):
    page = pages.open("/")
    select(page, "n5")
    page.locator("#q").fill("half a na")

    rack.netboot("install", "arm", "n6")

    expect(page.locator("#host-n6")).to_contain_text("armed")
    expect(page.get_by_role("checkbox", name="Select n5", exact=True)).to_be_checked()
    expect(page.locator("#q")).to_have_value("half a na")
    expect(page.locator("#q")).to_be_focused()
    expect(page.locator("#selected")).to_have_text("1 selected:")


def test_keys_go_to_the_search_and_end_the_selection(pages: Pages):
    page = pages.open("/")
    page.get_by_role("checkbox", name="Select all hosts that are shown").check()
    expect(page.locator("#selected")).to_have_text("10 selected:")

    page.keyboard.press("Escape")
    expect(page.locator("#selected")).to_have_text("With the selected hosts:")
    page.keyboard.press("/")
    page.keyboard.type("n7")
    page.keyboard.press("Enter")

    expect(page.locator("#rack > tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=n7"))


def test_filter_and_order_are_kept_over_an_action(pages: Pages):
    page = pages.open("/?label=row%3Dr1&sort=mac&order=desc")
    names = page.locator("#rack th a").all_inner_texts()
    select(page, "n7")

    page.get_by_role("button", name="Inspect", exact=True).click()
    page.get_by_role("link", name="Back", exact=True).click()

    assert names == ["n7", "n5", "n3", "n1"]
    expect(page).to_have_url(re.compile(r"label=row%3Dr1&sort=mac&order=desc$"))


def test_an_action_without_a_selection_is_refused_in_words(pages: Pages):
    page = pages.open("/")
    pages.expect("400")

    page.get_by_role("button", name="Retire", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("No host is selected")


@pytest.mark.parametrize("appearance", Appearance)
def test_a_refused_action_shows_why_and_its_button_is_disabled(pages: Pages, appearance: Appearance):
    page = pages.open("/hosts/n8/remove", appearance)

    expect(page.get_by_role("button", name="Remove n8")).to_be_disabled()
    expect(page.locator("main")).to_contain_text("hosts.files names no directory, in which commands write hosts")
    assert_fits(page)
    screenshot(page, f"remove-refused-{appearance}")

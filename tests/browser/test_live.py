"""A page follows the daemon without a reload, keeps what the operator does on it, and survives the daemon's end."""

import re

import pytest
from fixtures.browser import Appearance, Pages, axe, screenshot
from fixtures.rack import Rack
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

CONNECTION_LOST = r"net::ERR_|Failed to load resource"


def opened(pages: Pages, url: str = "/") -> Page:
    """Open a page that shows whether it was loaded again: then the mark is gone."""
    page = pages.open(url)
    page.evaluate("window.isMarked = true")
    return page


def is_the_same_page(page: Page) -> bool:
    return bool(page.evaluate("window.isMarked === true"))


@pytest.fixture(autouse=True)
def cancelled(rack: Rack) -> None:
    """Begin with no armed host."""
    rack.netboot("install", "cancel", "cp1", "w1")


def test_a_change_in_the_daemon_changes_the_row_without_a_reload(pages: Pages, rack: Rack):
    page = opened(pages)
    row = page.locator("#host-cp1")
    expect(row).not_to_contain_text("armed")

    rack.netboot("install", "arm", "cp1")

    expect(row).to_contain_text("armed")
    assert is_the_same_page(page)


def test_what_the_operator_selects_types_and_focuses_stays(pages: Pages, rack: Rack):
    page = opened(pages)
    page.get_by_label("Select cp1").check()
    page.get_by_label("Select w1").check()
    search = page.get_by_label("Search")
    search.press_sequentially("rack-")

    rack.netboot("install", "arm", "cp1")

    expect(page.locator("#host-cp1")).to_contain_text("armed")
    expect(page.get_by_label("Select cp1")).to_be_checked()
    expect(page.get_by_label("Select w1")).to_be_checked()
    expect(search).to_have_value("rack-")
    expect(search).to_be_focused()
    page.keyboard.type("one")
    expect(search).to_have_value("rack-one")
    assert is_the_same_page(page)


def test_a_focused_checkbox_of_a_row_that_changes_keeps_the_focus(pages: Pages, rack: Rack):
    page = opened(pages)
    page.get_by_label("Select cp1").focus()

    rack.netboot("install", "arm", "cp1")

    expect(page.locator("#host-cp1")).to_contain_text("armed")
    expect(page.get_by_label("Select cp1")).to_be_focused()


def test_an_action_in_one_browser_is_shown_in_another(pages: Pages, rack: Rack):
    first, second = opened(pages), opened(pages)
    for name in ("cp1", "w1"):
        first.get_by_label(f"Select {name}").check()
    first.get_by_role("group", name="Actions on the selected hosts").get_by_role(
        "button", name="Arm", exact=True
    ).click()
    expect(first.get_by_role("heading", level=1)).to_have_text("Arm 2 hosts")
    axe(first)
    screenshot(first, "arm-two-hosts")
    first.get_by_label("Reason").fill("from a page")
    first.get_by_role("button", name="Arm 2 hosts").click()

    expect(first.get_by_role("status").filter(has_text="cp1, w1 armed")).to_be_visible()
    screenshot(first, "rack-after-arming")
    for name in ("cp1", "w1"):
        expect(second.locator(f"#host-{name}")).to_contain_text("armed")
    assert is_the_same_page(second)
    assert rack.api("/api/v1/hosts/cp1/install")["arming"]["reason"] == "from a page"


def test_two_browsers_show_the_same(pages: Pages, rack: Rack):
    first, second = opened(pages), opened(pages)

    rack.netboot("install", "arm", "w1")

    for page in (first, second):
        expect(page.locator("#host-w1")).to_contain_text("armed")
        assert is_the_same_page(page)


@pytest.mark.parametrize("appearance", [Appearance.LIGHT, Appearance.NARROW])
def test_a_lost_connection_is_shown_with_the_time_of_the_data_and_ends(
    pages: Pages, rack: Rack, appearance: Appearance
):
    pages.expect(CONNECTION_LOST)
    page = pages.open("/", appearance)
    page.evaluate("window.isMarked = true")
    banner = page.get_by_role("status").filter(has_text="Connection lost")
    expect(banner).to_have_count(0)

    rack.kill()
    expect(banner).to_be_visible()
    expect(banner).to_have_text(re.compile(r"the state of \d\d:\d\d:\d\d UTC"))
    screenshot(page, f"connection-lost-{appearance}")
    axe(page)
    rack.start()
    rack.netboot("install", "arm", "cp1")

    expect(banner).to_have_count(0)
    expect(page.locator("#host-cp1")).to_contain_text("armed")
    assert is_the_same_page(page)

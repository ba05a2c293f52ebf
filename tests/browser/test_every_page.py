"""Every page, light, dark and 390 px wide: accessible, nothing too wide, by keyboard, without JavaScript."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.page_routes import DOWNLOAD_URLS, PAGE_URLS, page_routes, visited_pages
from fixtures.rack import Rack, running
from fixtures.rack_in_use import use, write_rack_in_use
from playwright.sync_api import Page

pytestmark = pytest.mark.integration

VISITED: Final = visited_pages()
CONTROLS: Final = "a[href], button, input, select, textarea, summary"
MOST_STOPS: Final = 400


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("in-use")
    write_rack_in_use(directory)
    return directory


@pytest.fixture(scope="module")
def rack(rack_directory: Path) -> Iterator[Rack]:
    with running(rack_directory) as rack:
        use(rack)
        yield rack


def name_of(url: str) -> str:
    """Name the screenshot of a URL."""
    return re.sub(r"[^a-z0-9]+", "-", url.lower()).strip("-")[:50] or "rack"


def test_every_route_of_the_pages_is_visited_here():
    assert sorted(PAGE_URLS.keys() | DOWNLOAD_URLS) == page_routes()


@pytest.mark.parametrize("appearance", Appearance)
@pytest.mark.parametrize("url", VISITED)
def test_a_page_is_accessible_and_fits(pages: Pages, url: str, appearance: Appearance):
    page = pages.open(url, appearance)
    screenshot(page, f"{name_of(url)}-{appearance}")

    axe(page)
    assert_fits(page)
    assert_headings_in_order(page)
    assert page.title() not in ("", "netboot")


def assert_headings_in_order(page: Page) -> None:
    """Fail unless there is one first heading, and none skips a level."""
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(each => +each.tagName[1])")
    assert levels[:1] == [1], levels
    assert levels.count(1) == 1, levels
    assert all(below - above <= 1 for above, below in pairwise(levels)), levels


@pytest.mark.parametrize("url", VISITED)
def test_the_keyboard_reaches_each_control_and_shows_where_it_is(pages: Pages, url: str):
    page = pages.context().new_page()
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => true})")  # then it follows nothing
    page.goto(url)
    wanted = page.evaluate(LIST_CONTROLS, CONTROLS)
    reached: list[str] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(DESCRIBE_FOCUS)
        if stop is None or stop["name"] in reached:
            break
        assert stop["is_visible"], f"{url}: the focus cannot be seen on {stop['name']}"
        reached.append(stop["name"])

    assert len(reached) < MOST_STOPS
    assert [each for each in wanted if each not in reached] == []


# A radio button is reached with the arrows from the one that is selected: a group counts once.
NAME: Final = """
const name = each => each.type === 'radio' ? 'radio ' + each.name :
  [...document.querySelectorAll('*')].indexOf(each) + ' ' + each.tagName.toLowerCase() + ' ' +
  (each.id || each.name || each.textContent.trim().slice(0, 40))
"""
LIST_CONTROLS: Final = (
    "selector => {"
    + NAME
    + """
  const can = each => !each.disabled && each.type !== 'hidden' && each.tabIndex >= 0 && each.checkVisibility()
  return [...new Set([...document.querySelectorAll(selector)].filter(can).map(name))]
}"""
)
DESCRIBE_FOCUS: Final = (
    "() => {"
    + NAME
    + """
  const each = document.activeElement
  if (!each || each === document.body) return null
  const style = getComputedStyle(each)
  const is_visible = style.outlineStyle !== 'none' && style.outlineWidth !== '0px' || style.boxShadow !== 'none'
  return {name: name(each), is_visible}
}"""
)


@pytest.mark.parametrize("url", VISITED)
def test_a_page_can_be_read_without_javascript(pages: Pages, url: str):
    with_scripts, without = pages.open(url), pages.open(url, java_script_enabled=False)

    assert outline(without) == outline(with_scripts)
    assert without.locator("noscript").count() == 0


def outline(page: Page) -> dict[str, Any]:
    """Return what a reader must find on a page with and without scripts."""
    return {
        "headings": [each for each in page.locator("h1, h2, h3").all_inner_texts() if each],
        "rows": page.locator("main tr").count(),
        "links": [each.get_attribute("href") for each in page.locator("main a[href]").all()],
        "forms": [each.get_attribute("action") for each in page.locator("main form").all()],
    }


def test_text_of_a_machine_is_text_on_every_page(pages: Pages, rack: Rack):
    for url in VISITED:
        assert pages.open(url).locator("img[src=x]").count() == 0, url


@pytest.mark.parametrize("appearance", Appearance)
@pytest.mark.parametrize(("url", "status"), [("/no-such-page", 404), ("/hosts/nowhere", 404)])
def test_an_error_is_a_page_that_leads_on(pages: Pages, url: str, status: int, appearance: Appearance):
    pages.expect(str(status))
    page = pages.context(appearance).new_page()
    answer = page.goto(url)

    assert answer is not None
    assert answer.status == status
    axe(page)
    assert_fits(page)
    assert_headings_in_order(page)
    screenshot(page, f"error-{status}-{appearance}")
    page.get_by_role("link", name="Back").click()
    page.wait_for_url("**/")

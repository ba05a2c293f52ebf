"""A rack of 1,000 hosts in a browser: every row is there, and one that changes is shown without a reload.

How long the page takes is only measured: `build/screenshots/thousand-hosts-*.json`.
"""

import json
from pathlib import Path

import pytest
from fixtures.browser import SCREENSHOTS, Appearance, Pages, assert_fits, screenshot
from fixtures.many_hosts import NUMBER, write_many_hosts
from fixtures.rack import Rack
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many_hosts(tmp_path_factory.mktemp("many"))


def timing(page: Page) -> dict[str, float]:
    """Measure how long the page took, in milliseconds since the navigation began."""
    found: dict[str, float] = json.loads(
        page.evaluate("JSON.stringify(performance.getEntriesByType('navigation')[0].toJSON())")
    )
    names = ("responseStart", "responseEnd", "domInteractive", "loadEventEnd", "encodedBodySize", "decodedBodySize")
    return {name: found[name] for name in names}


@pytest.mark.parametrize("appearance", [Appearance.LIGHT, Appearance.NARROW])
def test_the_page_has_every_host_and_is_usable(pages: Pages, rack: Rack, appearance: Appearance):
    page = pages.open("/", appearance)
    page.wait_for_load_state()

    screenshot(page, f"thousand-hosts-{appearance}")
    (SCREENSHOTS / f"thousand-hosts-{appearance}.json").write_text(json.dumps(timing(page)))
    assert page.locator("#rack > tr").count() == NUMBER
    assert_fits(page)


def test_a_row_of_a_thousand_changes_without_a_reload(pages: Pages, rack: Rack):
    page = pages.open("/")
    page.evaluate("window.isMarked = true")
    row = page.locator("#host-n0999")
    expect(row).not_to_contain_text("armed")

    rack.netboot("install", "arm", "n0999")

    expect(row).to_contain_text("armed")
    assert page.evaluate("window.isMarked")

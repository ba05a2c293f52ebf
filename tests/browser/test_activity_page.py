"""The page of activity: live, filtered by its form, paged, exported; hostile text stays text."""

import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.rack import Rack, running
from fixtures.rack_in_use import use, write_rack_in_use
from playwright.sync_api import expect

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("activity")
    write_rack_in_use(directory)
    return directory


@pytest.fixture(scope="module")
def rack(rack_directory: Path) -> Iterator[Rack]:
    with running(rack_directory) as rack:
        use(rack)
        yield rack


@pytest.mark.parametrize("appearance", Appearance)
def test_the_newest_events_are_shown_and_hostile_text_is_text(pages: Pages, appearance: Appearance):
    page = pages.open("/activity", appearance)

    expect(page.locator("#events tr").first).to_be_visible()
    assert page.locator("#events img").count() == 0
    screenshot(page, f"activity-{appearance}")
    axe(page)
    assert_fits(page)


def test_a_change_appears_without_a_reload(pages: Pages, rack: Rack):
    page = pages.open("/activity?audit=1")
    page.evaluate("window.isMarked = true")

    rack.netboot("install", "arm", "w5", "--force", "--reason", "a new disk")

    expect(page.locator("#events tr").first).to_contain_text("armed the install of w5: a new disk")
    assert page.evaluate("window.isMarked === true")


def test_the_form_filters_and_its_fields_stay_in_the_url(pages: Pages):
    page = pages.open("/activity")
    page.get_by_label("Host", exact=True).fill("cp1")
    page.get_by_label("Event", exact=True).select_option("install.*")
    page.get_by_label("From").fill("1h")
    page.get_by_role("button", name="Filter").click()

    assert page.url.endswith("?host=cp1&mac=&event=install.*&actor=&since=1h&until=")
    assert set(page.locator("#events tr td:nth-child(3)").all_inner_texts()) == {"cp1"}
    assert page.get_by_label("Event", exact=True).input_value() == "install.*"
    page.get_by_role("link", name="requested by people").click()
    assert "audit=1" in page.url
    page.get_by_role("link", name="Show all").first.click()
    assert page.url.endswith("/activity")


def test_a_time_that_is_none_is_named_and_no_event_is_shown(pages: Pages):
    pages.expect("400")
    page = pages.open("/activity?since=soon")

    expect(page.get_by_role("alert")).to_contain_text("since is a time")
    assert page.locator("#events tr").count() == 0
    axe(page)


def test_older_events_are_a_page_away(pages: Pages, rack: Rack):
    row = ("2026-11-29T02:00:00+00:00", "audit.recorded", '{"action": "reload", "actor": "uid 0", "outcome": "done"}')
    with closing(sqlite3.connect(rack.directory / "netboot.db")) as store, store:
        store.executemany("INSERT INTO events (at, name, data) VALUES (?, ?, ?)", [row] * 150)
    page = pages.open("/activity?event=audit.recorded")
    expect(page.locator("#events tr")).to_have_count(100)
    newest = page.locator("#events tr").first.get_attribute("id")

    page.get_by_role("link", name="Older").click()

    expect(page.locator("#events tr").first).to_be_visible()
    assert page.locator("#events tr").first.get_attribute("id") != newest
    page.get_by_role("link", name="Newest").click()
    assert page.url.endswith("/activity?event=audit.recorded")


def test_the_export_has_what_the_page_shows(pages: Pages):
    page = pages.open("/activity?host=w1")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()

    text = Path(download.value.path()).read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["host"] for row in rows} == {"w1"}
    assert download.value.suggested_filename.endswith(".csv")

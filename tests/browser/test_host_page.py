"""The page of a host in Chromium: its chart and its log follow the machine, and text of the machine is text."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.browser import Pages, axe, screenshot
from fixtures.files import SETTINGS, write_boot_files, write_files
from fixtures.rack import Machine, Rack
from fixtures.rack_in_use import CP1, W1, send_lines
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

LINES = "#log-lines li"
MARKUP = "<img src=x onerror=alert(1)>"
MOST_LINES = 3000


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An appliance that receives logs."""
    directory = tmp_path_factory.mktemp("logged")
    write_files(directory, settings=SETTINGS + "logs: {listen: 0.0.0.0:514}\nbootfiles: {directories: [boot]}\n")
    write_boot_files(directory / "boot")
    return directory


@pytest.fixture(scope="module")
def cp1(rack: Rack) -> Machine:
    """A machine that booted, so that its lines have an owner."""
    machine = rack.machine(*CP1)
    machine.boots()
    machine.script()
    return machine


def opened(pages: Pages, url: str) -> Page:
    """Open a page whose log is followed."""
    page = pages.open(url)
    expect(page.locator("#log-state")).to_have_text("live")
    return page


def test_a_line_is_shown_as_it_comes_and_is_text(pages: Pages, cp1: Machine):
    page = opened(pages, "/hosts/cp1")

    send_lines(cp1, f"anaconda: {MARKUP}", "anaconda: a\u202eb", f"anaconda: {'x' * 5000}")

    expect(page.locator(LINES).filter(has_text=MARKUP)).to_have_count(1)
    expect(page.locator(LINES).filter(has_text="a\ufffdb")).to_have_count(1)
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.scrollingElement.scrollWidth <= document.documentElement.clientWidth")
    axe(page)
    screenshot(page, "host-log")


def test_the_newest_line_is_followed_until_the_operator_scrolls_up(pages: Pages, cp1: Machine):
    page = opened(pages, "/hosts/cp1")
    log, button = page.locator("#log-lines"), page.locator("#log-follow")
    send_lines(cp1, *(f"anaconda: line {number}" for number in range(60)))
    expect(page.locator(LINES).filter(has_text="line 59")).to_have_count(1)
    expect(button).to_have_attribute("aria-pressed", "true")
    assert log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 24

    log.evaluate("log => { log.scrollTop = 0 }")
    expect(button).to_have_attribute("aria-pressed", "false")
    send_lines(cp1, "anaconda: one more")
    expect(page.locator(LINES).filter(has_text="one more")).to_have_count(1)

    assert log.evaluate("log => log.scrollTop") == 0
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 24


def test_a_long_log_keeps_its_newest_lines_alone(pages: Pages, rack: Rack, cp1: Machine):
    page = opened(pages, "/hosts/cp1")
    send_lines(cp1, "anaconda: begin")
    expect(page.locator(LINES).filter(has_text="begin").first).to_be_attached()
    log = max((rack.directory / "records" / "cp1").glob("*.log"))
    fields = {"at": datetime.now(UTC).isoformat(), "source": cp1.address, "severity": "err", "program": "x"}
    with log.open("a") as file:
        file.writelines(json.dumps(fields | {"text": f"many {number}"}) + "\n" for number in range(4000))

    expect(page.locator(LINES).filter(has_text="many 3999")).to_have_count(1)

    assert page.locator(LINES).count() == MOST_LINES
    expect(page.locator("#log-cut")).to_be_visible()


def test_without_scripts_the_last_lines_are_in_the_page(pages: Pages, cp1: Machine):
    page = opened(pages, "/hosts/cp1")
    send_lines(cp1, "anaconda: the end")
    expect(page.locator(LINES).filter(has_text="the end").first).to_be_attached()

    plain = pages.open("/hosts/cp1", java_script_enabled=False)

    assert plain.locator(LINES).filter(has_text="the end").count() >= 1
    expect(plain.locator("#log-follow")).to_be_hidden()


def test_the_chart_grows_while_the_machine_boots(pages: Pages, rack: Rack):
    page = pages.open("/hosts/w1")
    expect(page.get_by_text("No boot of this machine is kept.")).to_be_visible()
    rack.netboot("install", "arm", "w1", "--force")
    machine = rack.machine(*W1)

    machine.boots()
    machine.script()

    expect(page.get_by_role("rowheader", name="script")).to_be_visible()
    expect(page.get_by_role("rowheader", name="kernel")).to_be_visible()  # it is awaited
    expect(page.locator("#head")).to_contain_text("loading")
    axe(page)


def test_a_log_goes_on_after_the_daemon_was_started_again(pages: Pages, rack: Rack, cp1: Machine):
    page = opened(pages, "/hosts/cp1")
    pages.expect(r"ERR_|:8470/: 5|Failed to load resource")
    before = page.locator(LINES).count()

    rack.kill()
    expect(page.locator("#log-state")).to_contain_text("not live")
    rack.start()
    expect(page.locator("#log-state")).to_have_text("live")
    cp1.boots()
    send_lines(cp1, "anaconda: after the start")

    expect(page.locator(LINES).filter(has_text="after the start")).to_have_count(1)
    assert page.locator(LINES).count() <= before + 3  # none twice

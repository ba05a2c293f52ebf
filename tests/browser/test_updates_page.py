"""The board of updates in a browser: what nodes run and are offered, live, and what of it needs attention."""

from collections.abc import Iterator

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.files import SETTINGS, write_files
from fixtures.ostree_images.layouts import MadeImage, make_image
from fixtures.rack import Rack, running
from fixtures.rack_in_use import CP1, W1, begin
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

RELEASE = "ock-1.31-amd64"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> MadeImage:
    return make_image(tmp_path_factory.mktemp("image"), "A")


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """An appliance that updates its nodes; cp1 and w1 are installed."""
    directory = write_files(
        tmp_path_factory.mktemp("updates"), settings=SETTINGS + "updates: {registry: true, report: true}\n"
    )
    with running(directory) as rack:
        rack.netboot("install", "arm", "cp1", "w1", "--force")
        for client in (CP1, W1):
            machine = rack.machine(*client)
            report, _ = begin(machine)
            machine.report(report, "started")
            machine.report(report, "done")
        yield rack


def row(page: Page, host: str):
    return page.locator(f"[id='node-{host}']")


def test_the_board_follows_the_images_and_what_waits_is_on_the_first_page(pages: Pages, rack: Rack, image: MadeImage):
    page = pages.open("/updates")
    expect(row(page, "cp1")).to_contain_text("since install")
    expect(row(page, "w1")).to_contain_text("not-offered")
    expect(row(page, "w1")).to_contain_text(f"import {RELEASE}: netboot content import-image FILE")
    expect(page.locator("#update-warnings")).to_contain_text("2 nodes have warnings: cp1, w1")
    page.evaluate("window.isMarked = true")

    rack.netboot("content", "import-images", str(image.archive), "--image", f"olcne/ock-ostree:{RELEASE}")

    expect(row(page, "w1").locator(".state")).to_have_text("offered")
    expect(row(page, "w1")).to_contain_text(image.commit.checksum[:12])
    expect(page.locator("#update-warnings")).to_contain_text(
        f"olcne/ock-ostree:{RELEASE} is {image.commit.checksum[:12]}, and the release {RELEASE} is {RELEASE}"
    )
    assert page.evaluate("window.isMarked")

    page.goto("/")
    attention = page.locator("#attention li", has_text="updates")
    expect(attention).to_contain_text("a new node is installed with another commit than nodes are updated to")
    attention.get_by_role("link", name="Show the updates").click()
    page.wait_for_url("**/updates")


@pytest.mark.parametrize("appearance", Appearance)
def test_each_installed_node_has_a_row_control_planes_first(pages: Pages, appearance: Appearance):
    page = pages.open("/updates", appearance)

    assert page.locator("#nodes tr th a").all_inner_texts() == ["cp1", "w1"]
    screenshot(page, f"updates-page-{appearance}")
    axe(page)
    assert_fits(page)


def test_the_page_of_a_host_has_its_row(pages: Pages):
    page = pages.open("/hosts/w1")

    expect(page.locator("#update")).to_contain_text("since install")
    screenshot(page, "host-update")
    axe(page)
    page.locator("#update").get_by_role("link", name="All nodes").click()
    page.wait_for_url("**/updates")

"""The page of content after a round of verification that took a damaged file out of service."""

from pathlib import Path

import pytest
from daemon.test_scrub import an_object, flipped, scrubbed
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.files import write_files
from fixtures.rack import Rack
from playwright.sync_api import expect

from netboot.content.ostree.object_table import write_index

pytestmark = pytest.mark.integration
RELEASE = "ock-1.31-amd64"


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = write_files(tmp_path_factory.mktemp("rack"))
    write_index(directory / "content/ostree" / RELEASE)
    return directory


def test_a_withheld_file_is_named_with_its_cure_in_each_appearance(pages: Pages, rack: Rack):
    damaged = an_object(rack)
    flipped(damaged)
    scrubbed(rack)

    for appearance in Appearance:
        page = pages.open("/content", appearance)
        section = page.get_by_role("region", name="Damaged, not served")
        expect(section).to_contain_text(RELEASE)
        expect(section).to_contain_text(f"netboot content verify {RELEASE} --repair-from")
        screenshot(page, f"content-damaged-{appearance}")
        axe(page)
        assert_fits(page)

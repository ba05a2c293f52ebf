"""The pages of the cluster and of the plan in a browser while no rollout has begun: light, dark and narrow."""

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.rack import Rack
from fixtures.rollout_rack import RolloutRack
from playwright.sync_api import expect

pytestmark = pytest.mark.integration


TO_COME = (
    "It does not exist yet. A rollout makes it when its hosts need it; before an install without one, put it here."
)


@pytest.fixture(scope="module")
def rack(rollout_cluster: RolloutRack) -> Rack:
    return rollout_cluster.rack


@pytest.mark.parametrize("appearance", Appearance)
def test_files_that_a_rollout_makes_are_no_fault_and_a_replacement_has_its_commands(
    pages: Pages, appearance: Appearance
):
    page = pages.open("/cluster", appearance)
    expect(page.get_by_text(TO_COME)).to_have_count(3)
    expect(page.locator("#cluster-problems")).to_be_hidden()
    screenshot(page, f"rollout-files-{appearance}")
    axe(page)
    assert_fits(page)

    page = pages.open("/rollout?replace=w1", appearance)
    expect(page.locator("#plan-commands tr", has_text="drain")).to_contain_text("run kubectl drain w1")
    page.locator("#plan-commands").scroll_into_view_if_needed()
    screenshot(page, f"rollout-replace-{appearance}")
    axe(page)
    assert_fits(page)

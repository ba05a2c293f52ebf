"""A rollout in a browser, from its plan to its end: live, its commands, a person, a failure, light, dark and narrow."""

import re

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.rack import Rack
from fixtures.rollout_rack import RolloutRack
from playwright.sync_api import Page, expect

from netboot.admin.texts.ages import shown_due

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rack(rollout_cluster: RolloutRack) -> Rack:
    return rollout_cluster.rack


def test_a_rollout_from_its_plan_to_its_end(pages: Pages, rollout_cluster: RolloutRack):
    cluster = rollout_cluster
    page = plan(pages)
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".notice.good")).to_have_text("Rollout 1 has begun.")
    page.evaluate("window.isMarked = true")
    person(pages, cluster, page)
    commands(pages, cluster, page)
    failure(pages, cluster, page)
    cluster.go(cluster.is_over)

    expect(page.locator("#rollout-ended")).to_contain_text("All 4 hosts are ready.")
    expect(page.get_by_role("heading", name="Plan")).to_be_visible()
    assert page.evaluate("window.isMarked"), "the page was loaded again"
    view(pages, "ended")


def view(pages: Pages, state: str) -> None:
    """Look at the page in each appearance."""
    for appearance in Appearance:
        page = pages.open("/rollout", appearance)
        screenshot(page, f"rollout-{state}-{appearance}")
        axe(page)
        assert_fits(page)
        page.context.close()  # a page that follows the rollout is made anew every few seconds


def row(page: Page, host: str):
    return page.locator("#rollout-hosts tbody tr", has=page.get_by_role("link", name=host, exact=True))


def plan(pages: Pages) -> Page:
    """The plan is shown with its options before anything is done; what is typed stays when it is shown anew."""
    page = pages.open("/rollout")
    view(pages, "plan")
    page.locator("#hosts").fill("w1")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator("#plan-start .refused")).to_contain_text("cp1, which starts the cluster, is not ready")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    page.locator("#hosts").fill("")
    page.locator("#max_parallel").fill("2")
    page.locator("#failure_budget").fill("1")
    page.get_by_role("button", name="Show the plan").click()
    page.wait_for_url("**/rollout?hosts=&max_parallel=2&failure_budget=1&replace=")
    return page


def person(pages: Pages, cluster: RolloutRack, page: Page) -> None:
    """A machine without a BMC is shown with its MAC and its place."""
    cluster.nodes["w1"].is_off = cluster.nodes["w2"].is_off = True
    cluster.go(lambda: cluster.phases()["w1"] == "needs-person")
    machine = page.locator("#rollout-person tbody tr", has=page.get_by_role("link", name="w1", exact=True))
    expect(machine).to_contain_text("52:54:00:aa:dd:11")
    expect(machine).to_contain_text("rack=r7")
    expect(machine).to_contain_text("power the machine on and let it boot from the network once")
    first = pages.open("/")
    attention = first.locator("#attention li", has_text=re.compile("rollout 1.*w1 waits? for a person", re.DOTALL))
    expect(attention.locator(".cure")).to_have_text(re.compile("power the machine on"))
    attention.get_by_role("link", name="Show the rollout").click()
    first.wait_for_url("**/rollout")
    first.context.close()


def commands(pages: Pages, cluster: RolloutRack, page: Page) -> None:
    """The commands of kubeadm are shown on a page of their own, are copied, and are confirmed."""
    cluster.go(lambda: "commands that it printed" in str(cluster.rollout()["next_command"]))
    printed = cluster.rack.netboot("cluster", "rollout", "show", "--commands").splitlines()
    cluster.nodes["w2"].fails, cluster.nodes["w2"].is_off = True, False
    cluster.go(lambda: cluster.phases()["w2"] == "failed")
    expect(page.locator("#rollout-person")).to_contain_text("join-control-plane")
    assert printed[1] not in page.content()
    expect(row(page, "w2")).to_contain_text("the disk is broken")
    expected(page)
    view(pages, "running")
    expect(page.locator(".stages time[data-left]").first).to_contain_text("h 5")

    other = pages.context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    other.goto("/rollout")
    other.get_by_role("link", name="Show the 2 commands").click()
    assert other.locator(".printed code").all_inner_texts() == printed
    screenshot(other, "rollout-commands")
    axe(other)
    other.get_by_role("button", name="Copy the command for join-control-plane 2").click()
    expect(other.locator("#copied")).to_have_text("The command is copied.")
    assert other.evaluate("navigator.clipboard.readText()") == printed[1]
    other.get_by_role("button", name="They were run").click()
    other.wait_for_url("**/rollout")
    expect(other.locator(".notice.good")).to_have_text("It is noted as done. The rollout goes on.")


def expected(page: Page) -> None:
    """What is still to come of a host is shown with its times; of one that is over there is nothing."""
    expect(page.locator("#rollout-end")).to_have_text(
        re.compile(
            r"^Expected to end in \d+ min, at \d\d:\d\d UTC, if nothing fails and everything takes what is usual"
        )
    )
    hour = r"\d\d:\d\d"
    for host, steps in (
        ("cp1", r""),
        ("cp2", rf"joins in \d+ min {hour}\s+ready {hour}"),
        ("w1", rf"installed in \d+ min {hour}\s+joins {hour},\s+ready {hour}"),
        ("w2", r""),
    ):
        expect(row(page, host).locator("td[data-label=Expected]")).to_have_text(re.compile(rf"^\s*{steps}\s*$"))
    seconds = [-5, 0.9, 40, 119, 179, 3700]  # times.js writes what the daemon does
    assert page.evaluate("seconds => seconds.map(due)", seconds) == [shown_due(each) for each in seconds]


def failure(pages: Pages, cluster: RolloutRack, page: Page) -> None:
    """A failed host is installed again after its name was typed; the page of the others follows."""
    first = pages.open("/")
    failed = first.locator("#attention li", has_text="w2 failed: ")
    expect(failed.locator(".cure")).to_have_text("netboot cluster rollout retry w2")
    first.context.close()
    assert page.evaluate("window.isMarked"), "the page was loaded again"
    row(page, "w2").get_by_role("link", name="Retry").click()
    page.get_by_role("button", name="Retry w2").click()
    pages.expect("422")
    expect(page.locator(".notice.bad")).to_contain_text("Type w2 to confirm that the disk is wiped.")
    page.locator("#confirm").fill("w2")
    screenshot(page, "rollout-retry")
    axe(page)
    page.get_by_role("button", name="Retry w2").click()
    page.wait_for_url("**/rollout")
    cluster.nodes["w2"].reinstalls()
    cluster.nodes["w1"].is_off = False
    cluster.go(lambda: "the command that it printed" in str(cluster.rollout()["next_command"]))
    expect(row(page, "cp2").locator(".state")).to_have_text("ready")
    reads_without_scripts(pages)
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".notice.good")).to_have_text("It is noted as done. The rollout goes on.")
    page.evaluate("window.isMarked = true")


def reads_without_scripts(pages: Pages) -> None:
    """The page and its forms work without scripts."""
    page = pages.open("/rollout", java_script_enabled=False)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#rollout-state .notice.warning")).to_have_text("It begins nothing new: by an operator")
    expect(page.locator("#rollout-end")).to_have_text(re.compile("It has no expected end: the rollout is paused"))
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#rollout-state .notice.warning")).to_have_count(0)
    expect(page.locator("#rollout-end")).to_have_text(re.compile("Expected to end in"))
    screenshot(page, "rollout-without-scripts")

"""An update of a rack in a browser: the plan of a promotion, the board live, its commands, and what needs attention."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.files import HOSTS, SETTINGS, write_files
from fixtures.ostree_images.layouts import MadeImage, make_image
from fixtures.rack import Machine, Rack, running, token_in
from fixtures.rack_in_use import CP1, W1, W2, begin
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

W2_HOST = "  w2: {role: worker, mac: '52:54:00:12:34:02'}\n"


@dataclass(frozen=True)
class UpdatedRack:
    """An appliance with images A and B, whose nodes run A, and the token of each node."""

    rack: Rack
    a: MadeImage
    b: MadeImage
    nodes: dict[str, tuple[Machine, str]]

    def report(self, host: str, **more: str) -> None:
        """Report what a node runs, with its token."""
        machine, token = self.nodes[host]
        values = {"booted": self.a.commit.checksum, "tag": "stable", "updater": "active"} | more
        body = "".join(f"{key} {value}\n" for key, value in values.items())
        assert machine.get(f"/node/{token}", "-X", "POST", "--data-binary", body).status == 200


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdatedRack]:
    directory = tmp_path_factory.mktemp("updates")
    a, b = (make_image(directory, each, tag=tag) for each, tag in (("A", "1.33.1"), ("B", "1.33.2")))
    hosts = HOSTS.replace("release: ock-1.31-amd64", "release: stable") + W2_HOST
    appliance = directory / "appliance"
    appliance.mkdir()
    write_files(appliance, settings=SETTINGS + "updates: {registry: true, report: true}\n", hosts=hosts)
    with running(appliance) as rack:
        for image, name in ((a, "ock-1.33.1"), (b, "ock-1.33.2")):
            rack.netboot("content", "import-image", str(image.archive), "--name", name)
        rack.netboot("content", "promote", "ock-1.33.1", "stable")
        rack.netboot("install", "arm", "cp1", "w1", "w2", "--force")
        clients = {"cp1": CP1, "w1": W1, "w2": W2}
        yield UpdatedRack(rack, a, b, {host: install(rack.machine(*client)) for host, client in clients.items()})


@pytest.fixture(scope="module")
def rack(updated: UpdatedRack) -> Rack:
    return updated.rack


def install(machine: Machine) -> tuple[Machine, str]:
    """Install a host as its machine does; return it and the token of its node."""
    report, ignition = begin(machine)
    machine.report(report, "started")
    machine.report(report, "done")
    machine.get(f"/ign/{ignition}")
    overlay = unquote(machine.get(f"/ign/{ignition}/overlay").body)
    machine.report(report, "ready")
    return machine, token_in(overlay, "node")


def row(page: Page, host: str):
    return page.locator(f"[id='node-{host}']")


def test_a_promotion_shows_its_plan_and_the_board_follows_the_nodes(pages: Pages, updated: UpdatedRack):
    board = pages.context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    board.goto("/updates")
    expect(row(board, "cp1").locator(".state")).to_have_text("current")
    expect(row(board, "cp1")).to_contain_text("since install")
    board.evaluate("window.isMarked = true")

    promote(pages, updated)

    expect(row(board, "w1").locator(".state")).to_have_text("offered")
    updated.report("cp1", staged=updated.b.commit.checksum)
    updated.report("w1", staged=updated.b.commit.checksum)
    expect(row(board, "w1").locator(".state")).to_have_text("staged")
    expect(row(board, "w1")).to_contain_text("update the control planes first: cp1")
    expect(row(board, "cp1").locator("[data-label=Next] code")).to_have_text("ocne node update -N cp1")
    assert board.locator("#nodes tr th a").all_inner_texts() == ["cp1", "w1", "w2"]
    assert board.evaluate("window.isMarked")

    row(board, "cp1").get_by_role("button", name="Copy the command for cp1").click()
    expect(board.locator("#copied")).to_have_text("The command is copied.")
    assert board.evaluate("navigator.clipboard.readText()") == "ocne node update -N cp1"
    for appearance in Appearance:
        page = pages.open("/updates", appearance)
        screenshot(page, f"updates-page-{appearance}")
        axe(page)
        assert_fits(page)
    waits(pages, updated)
    reads_without_scripts(pages)
    has_its_row_on_its_page(pages)


def promote(pages: Pages, updated: UpdatedRack) -> None:
    """Promote B by the pages: they show what the command shows, and nothing is changed before the confirmation."""
    planned = updated.rack.netboot("content", "promote", "ock-1.33.2", "stable", "--plan").splitlines()
    page = pages.open("/content")
    expect(page.locator("[id='entry-ock-1.33.2']")).to_contain_text("image olcne/ock-ostree:1.33.2")
    page.locator("[id='entry-ock-1.33.2']").get_by_role("link", name="Promote").click()
    page.locator("#alias").fill("stable")
    page.get_by_role("button", name="Show what it does").click()
    expect(page.get_by_role("heading", name="What the promotion does")).to_be_visible()
    lines = page.locator("main li").all_inner_texts()
    screenshot(page, "content-promotion-plan")
    axe(page)

    assert lines == ["stable becomes ock-1.33.2; it is ock-1.33.1 now", *planned]
    assert any(line.startswith("cp1: notices it within two minutes; runs ock-1.33.1") for line in lines)
    assert lines[-1] == "new installs get it: cp1, w1, w2"
    assert "ock-1.33.1" in updated.rack.netboot("content", "show", "stable")
    page.get_by_role("button", name="Promote ock-1.33.2 to stable").click()
    expect(page.locator(".notice.good")).to_have_text(
        "stable is ock-1.33.2 now. The nodes that follow it notice that within two minutes."
    )


def waits(pages: Pages, updated: UpdatedRack) -> None:
    """The first page has what waits for an operator."""
    page = pages.open("/")
    attention = page.locator("#attention li", has_text="2 nodes")
    expect(attention).to_contain_text(f"have downloaded ock-1.33.2 ({updated.b.commit.checksum[:12]}), and wait")
    expect(attention.locator(".cure")).to_have_text("ocne node update -N cp1")
    screenshot(page, "rack-updates")
    attention.get_by_role("link", name="Show the updates").click()
    page.wait_for_url("**/updates")


def reads_without_scripts(pages: Pages) -> None:
    """The command can be read and selected; a button that does nothing is not shown."""
    page = pages.open("/updates", java_script_enabled=False)

    expect(row(page, "cp1")).to_contain_text("ocne node update -N cp1")
    expect(row(page, "cp1").locator("button")).to_be_hidden()


def has_its_row_on_its_page(pages: Pages) -> None:
    page = pages.open("/hosts/cp1")

    expect(page.locator("#update")).to_contain_text("ock-1.33.2")
    screenshot(page, "host-update")
    axe(page)
    page.locator("#update").get_by_role("link", name="All nodes").click()
    page.wait_for_url("**/updates")

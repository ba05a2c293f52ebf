"""The page of the cluster: deadlines, what each role installs, and an Ignition file that is replaced; no secret."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.files import write_files
from fixtures.rack import Rack
from fixtures.role_files import CERTIFICATE_KEY, IDENTITY, SAMPLES, TOKEN, altered
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

OTHER_CA = "ab" * 32


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An appliance with an Ignition file for each use."""
    directory = write_files(tmp_path_factory.mktemp("cluster"))
    for name in ("init.ign", "controlplane-join.ign", "worker-join.ign"):
        (directory / "ign" / name).write_bytes((SAMPLES / name).read_bytes())
    return directory


@pytest.fixture(autouse=True)
def files(rack: Rack) -> Path:
    """The three files, written now, so that their secrets are valid."""
    directory = rack.directory / "ign"
    for path in directory.glob("*.*.*"):
        path.unlink()
    for name in ("init.ign", "controlplane-join.ign", "worker-join.ign"):
        (directory / name).write_bytes((SAMPLES / name).read_bytes())
    rack.netboot("reload")
    return directory


@pytest.fixture
def cluster(pages: Pages) -> Page:
    return pages.open("/cluster")


def panel(page: Page, title: str):
    return page.locator("section", has=page.get_by_role("heading", name=title, exact=True))


@pytest.mark.parametrize("appearance", Appearance)
def test_it_shows_roles_files_and_deadlines(pages: Pages, appearance: Appearance):
    page = pages.open("/cluster", appearance)

    expect(page.locator("#role-worker")).to_contain_text("w1")
    expect(page.locator("#role-worker")).to_contain_text("ock-1.31-amd64 by ol8u10-x86_64")
    expect(panel(page, "Workers")).to_contain_text("valid bootstrap token until")
    expect(panel(page, "Workers")).to_contain_text(IDENTITY)
    expect(panel(page, "Further control planes")).to_contain_text("certificate key")
    screenshot(page, f"cluster-page-{appearance}")
    axe(page)
    assert_fits(page)


def test_a_secret_that_ended_is_a_problem_with_its_cure(files: Path, pages: Pages):
    yesterday = time.time() - 30 * 3600
    os.utime(files / "worker-join.ign", (yesterday, yesterday))
    page = pages.open("/cluster")

    expect(panel(page, "Workers").locator(".state.red")).to_have_text("ended")
    expect(page.locator("#cluster-problems")).to_contain_text("run ocne cluster join -c byo.yaml -w 1 > FILE")
    screenshot(page, "cluster-ended")
    axe(page)


def test_a_secret_in_the_last_quarter_of_its_life_ends_soon(files: Path, pages: Pages):
    written = (datetime.now(UTC) - timedelta(hours=20)).timestamp()
    os.utime(files / "worker-join.ign", (written, written))
    page = pages.open("/cluster")

    expect(panel(page, "Workers").locator(".state.amber")).to_have_text("ends soon")
    expect(panel(page, "Workers")).to_contain_text("3 h 59 min left")


def test_a_file_is_replaced_and_the_previous_one_is_kept(cluster: Page, files: Path, tmp_path: Path):
    new = tmp_path / "printed.ign"
    new.write_bytes(altered("worker-join.ign", {"c0ntrl": "renewd", "w0rker": "renewd"}))
    panel(cluster, "Workers").get_by_role("link", name="Replace the file").click()
    screenshot(cluster, "cluster-replace")
    axe(cluster)
    cluster.locator("#file").set_input_files(new)
    cluster.get_by_role("button", name="Replace the file").click()

    expect(cluster.locator(".notice.good")).to_contain_text("worker-join.ign is replaced")
    assert (files / "worker-join.ign").read_bytes() == new.read_bytes()
    assert (files / "worker-join.ign.previous").read_bytes() == (SAMPLES / "worker-join.ign").read_bytes()
    expect(panel(cluster, "Workers")).to_contain_text("Taken")


def test_a_file_of_another_cluster_is_taken_after_a_confirmation_only(cluster: Page, files: Path, tmp_path: Path):
    new = tmp_path / "printed.ign"
    new.write_bytes((SAMPLES / "init.ign").read_bytes())
    (files / "init.ign").unlink()
    for name in ("controlplane-join.ign", "worker-join.ign"):
        (files / name).write_bytes(altered(name, {IDENTITY: OTHER_CA}))
    cluster.goto("/cluster/ignition/init")
    cluster.locator("#file").set_input_files(new)
    cluster.get_by_role("button", name="Replace the file").click()
    expect(cluster.get_by_role("heading", level=1)).to_have_text("The file is of another cluster")
    expect(cluster.locator("main .notice.warning")).to_contain_text("worker-join.ign")
    screenshot(cluster, "cluster-confirm")
    axe(cluster)
    assert not (files / "init.ign").exists()

    cluster.get_by_role("button", name="Begin a new cluster with this file").click()

    expect(cluster.locator("main .notice").first).to_contain_text("Put aside")
    assert (files / "init.ign").read_bytes() == new.read_bytes()
    assert not (files / "worker-join.ign").exists()


def test_a_file_that_is_none_of_ocne_is_refused_with_its_reason(
    cluster: Page, pages: Pages, files: Path, tmp_path: Path
):
    pages.expect("422")
    bad = tmp_path / "bad.ign"
    bad.write_text("time=2026 level=info\n")
    cluster.goto("/cluster/ignition/worker")
    cluster.locator("#file").set_input_files(bad)
    cluster.get_by_role("button", name="Replace the file").click()

    expect(cluster.locator(".notice.bad")).to_contain_text("cannot take the Ignition file for worker")
    screenshot(cluster, "cluster-refused")
    axe(cluster)
    assert (files / "worker-join.ign").read_bytes() == (SAMPLES / "worker-join.ign").read_bytes()


def test_no_secret_of_a_file_is_on_a_page(cluster: Page):
    for url in ("/cluster", "/cluster/ignition/init", "/cluster/ignition/control-plane", "/cluster/ignition/worker"):
        cluster.goto(url)
        text = cluster.content()
        assert not [secret for secret in (TOKEN, TOKEN.split(".")[1], CERTIFICATE_KEY, "PRIVATE KEY") if secret in text]

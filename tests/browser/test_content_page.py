"""The page of content: uploads that continue, imports with progress, verify, promote, remove, and why not."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon.test_uploads import archive  # noqa: F401 - a fixture
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.files import write_files
from fixtures.image_layouts import Layout
from fixtures.ostree_images.layouts import make_image
from fixtures.rack import Rack
from fixtures.rack_in_use import write_images
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

RELEASE = "ock-1.31-amd64"
MEDIUM = "ol8u10-x86_64"


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An appliance whose content is a copy of its own, because these tests change it."""
    directory = write_files(tmp_path_factory.mktemp("rack"))
    content = directory / "content"
    if content.is_symlink():
        shared = content.resolve()
        content.unlink()
        subprocess.run(["cp", "-a", shared, content], check=True)
    return directory


@pytest.fixture
def saved(archive: bytes, tmp_path: Path) -> Path:  # noqa: F811
    """An archive as a file of the operator's laptop."""
    path = tmp_path / "ock-new-amd64-ostree.tar"
    path.write_bytes(archive)
    return path


@pytest.fixture
def content(pages: Pages) -> Iterator[Page]:
    page = pages.open("/content")
    yield page
    page.evaluate("localStorage.clear()")


def row(page: Page, name: str):
    return page.locator(f"[id='entry-{name}']")


@pytest.mark.parametrize("appearance", Appearance)
def test_it_lists_media_and_releases_with_their_users(pages: Pages, appearance: Appearance):
    page = pages.open("/content", appearance)

    expect(row(page, MEDIUM)).to_contain_text("cp1")
    expect(row(page, RELEASE)).to_contain_text("w1")
    screenshot(page, f"content-page-{appearance}")
    axe(page)
    assert_fits(page)


def test_a_release_in_use_is_not_removed_and_every_page_has_the_reason(content: Page, rack: Rack, pages: Pages):
    reason = re.compile(r"cp1 refers to it \(.*hosts\.yaml:\d+:\d+\); give it another in the hosts files")
    expect(row(content, RELEASE).get_by_role("button", name="Remove")).to_be_disabled()
    expect(row(content, RELEASE).locator(".refused").last).to_contain_text(reason)

    content.goto(f"/content/{RELEASE}/remove")
    expect(content.locator(".notice.bad")).to_contain_text(reason)
    screenshot(content, "content-remove-refused")
    axe(content)
    assert reason.search(rack.netboot("content", "remove", RELEASE, status=1))


def test_an_archive_is_uploaded_imported_promoted_verified_and_removed(content: Page, saved: Path):
    content.locator("#upload-file").set_input_files(saved)
    expect(content.locator("#upload-name")).to_have_value("ock-new-amd64")
    content.get_by_role("button", name="Upload", exact=True).click()
    expect(row(content, "ock-new-amd64")).to_be_visible()
    expect(content.locator("#content-work")).to_contain_text("done")

    row(content, "ock-new-amd64").get_by_role("link", name="Promote").click()
    axe(content)
    screenshot(content, "content-promote")
    content.locator("#alias").fill("edge")
    content.get_by_role("button", name="Show what it does").click()
    expect(content.locator("main li").first).to_have_text("edge becomes ock-new-amd64; there is none of this name now")
    content.get_by_role("button", name="Promote ock-new-amd64 to edge").click()
    expect(content.locator(".notice.good")).to_have_text("edge is ock-new-amd64 now.")
    expect(row(content, "edge")).to_contain_text("another name of ock-new-amd64")

    row(content, "ock-new-amd64").get_by_role("button", name="Verify").click()
    expect(content.locator("#content-work")).to_contain_text("Verified ock-new-amd64: sound")
    expect(row(content, "ock-new-amd64")).to_contain_text("sound")
    screenshot(content, "content-verified")

    expect(row(content, "ock-new-amd64")).to_contain_text("it is also called edge")
    row(content, "edge").get_by_role("link", name="Remove").click()
    content.get_by_role("button", name="Remove edge").click()
    expect(content.locator(".notice.good")).to_have_text("edge is removed.")
    row(content, "ock-new-amd64").get_by_role("link", name="Remove").click()
    content.get_by_role("button", name="Remove ock-new-amd64").click()
    expect(content.locator(".notice.good")).to_contain_text("ock-new-amd64 is removed")
    expect(row(content, "ock-new-amd64")).to_have_count(0)


def test_an_ock_image_is_uploaded_and_becomes_a_release_and_an_image(content: Page, tmp_path: Path):
    image = make_image(tmp_path, "A", name="ock-1.33.tar")
    content.locator("#upload-file").set_input_files(image.archive)
    expect(content.locator("#upload-kind")).to_have_value("image")
    expect(content.locator("#upload-name")).to_have_value("ock-1.33")
    content.get_by_role("button", name="Upload", exact=True).click()

    expect(row(content, "ock-1.33")).to_contain_text("image olcne/ock-ostree:1.33")
    expect(content.locator("#images tr", has_text="olcne/ock-ostree:1.33")).to_contain_text("release ock-1.33")
    row(content, "ock-1.33").get_by_role("link", name="olcne/ock-ostree:1.33").click()
    expect(content.locator("dl")).to_contain_text(image.commit.checksum)
    expect(content.locator(".notice.info")).to_contain_text("the release ock-1.33 is this image")
    content.goto("/content/ock-1.33")
    expect(content.locator("dl")).to_contain_text(image.commit.checksum)
    expect(content.locator("dl").get_by_role("link", name="olcne/ock-ostree:1.33")).to_be_visible()


def test_images_are_uploaded_verified_and_removed(content: Page, tmp_path: Path):
    content.locator("#upload-file").set_input_files(write_images(tmp_path / "images.tar"))
    expect(content.locator("#upload-kind")).to_have_value("images")
    content.get_by_role("button", name="Upload", exact=True).click()
    ui = content.locator("#images tr", has_text="olcne/ui:1.33")
    expect(ui).to_contain_text("amd64, arm64")
    expect(content.locator("#content-work")).to_contain_text("olcne/ui:1.33 and 1 more")

    ui.get_by_role("button", name="Verify").click()
    expect(content.locator("#content-work")).to_contain_text("Verified olcne/ui:1.33: sound")
    expect(ui).to_contain_text("sound")
    screenshot(content, "content-images")
    axe(content)

    ui.get_by_role("link", name="olcne/ui:1.33").click()
    expect(content.locator("dl")).to_contain_text("linux/amd64, linux/arm64")
    assert content.locator("tbody tr").count() == 6  # an index, two manifests, two configurations, their layer
    screenshot(content, "content-image")
    content.get_by_role("link", name="Remove").click()
    screenshot(content, "content-image-remove")
    content.get_by_role("button", name="Remove olcne/ui:1.33").click()
    expect(content.locator(".notice.good")).to_contain_text("olcne/ui:1.33 is removed")
    expect(content.locator("#images tr", has_text="olcne/flannel:v0.22.3")).to_be_visible()


def test_an_image_without_a_name_gets_the_one_of_the_form(content: Page, tmp_path: Path):
    layout = Layout()
    layout.name(layout.image("unnamed"))
    content.locator("#upload-file").set_input_files(layout.archive(tmp_path / "unnamed.tar"))
    content.locator("#upload-name").fill("olcne/named:2.0")
    content.get_by_role("button", name="Upload", exact=True).click()

    expect(content.locator("#images")).to_contain_text("olcne/named:2.0")


def test_damage_is_shown_with_the_command_that_repairs_it(content: Page, rack: Rack):
    kernel = rack.directory / "content/ostree" / RELEASE
    damaged = next(path for path in sorted((kernel / "objects").rglob("*.filez")))
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    try:
        row(content, RELEASE).get_by_role("button", name="Verify").click()
        expect(row(content, RELEASE)).to_contain_text("damaged")
        expect(content.locator("#content-work")).to_contain_text(
            f"netboot content verify {RELEASE} --repair-from SOURCE"
        )
        screenshot(content, "content-damaged")
        axe(content)
    finally:
        damaged.write_bytes(sound)


def test_what_is_no_iso_fails_with_its_reason_and_is_cleared(content: Page, tmp_path: Path):
    file = tmp_path / "no.iso"
    file.write_bytes(b"no iso at all")
    content.locator("#upload-file").set_input_files(file)
    content.get_by_role("button", name="Upload", exact=True).click()

    failed = content.locator("#content-work .work", has_text="failed")
    expect(failed.locator(".notice.bad")).to_contain_text("ISO")
    screenshot(content, "content-import-failed")
    axe(content)
    failed.get_by_role("button", name="Clear").click()
    expect(content.locator("#content-work .work", has_text="failed")).to_have_count(0)


def test_a_file_that_is_no_content_is_not_sent(content: Page, tmp_path: Path):
    file = tmp_path / "notes.txt"
    file.write_bytes(b"x")
    content.locator("#upload-file").set_input_files(file)

    expect(content.locator("#upload-progress .bad")).to_contain_text(
        "neither an ISO (.iso) nor an image or archive (.tar"
    )
    expect(content.locator("#upload-start")).to_be_disabled()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of which a piece takes a while, so that an upload can be interrupted."""
    path = tmp_path / "large.iso"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    return path


def begin(page: Page, file: Path) -> None:
    page.locator("#upload-file").set_input_files(file)
    page.locator("#upload-start").click()
    expect(page.locator("#upload-progress progress")).to_be_visible()


def test_an_upload_is_paused_resumed_and_continues_after_a_reload(content: Page, rack: Rack, large: Path):
    begin(content, large)
    content.get_by_role("button", name="Pause").click()
    expect(content.locator("#upload-progress")).to_contain_text("paused")
    screenshot(content, "content-upload-paused")
    axe(content)
    (upload,) = [each for each in rack.api("/api/v1/uploads") if each["state"] == "receiving"]
    content.on("dialog", lambda dialog: dialog.accept())
    content.reload()
    expect(content.locator("#upload-progress")).to_contain_text("The upload of large.iso is not complete")

    content.locator("#upload-file").set_input_files(large)
    content.get_by_role("button", name="Continue the upload").click()

    ended = content.locator(f"[id='upload-{upload['id']}']", has_text="failed")
    expect(ended).to_be_visible()  # zeros are no ISO
    expect(content.locator("#upload-progress .good")).to_contain_text("is received")
    ended.get_by_role("button", name="Clear").click()


def test_an_upload_continues_by_itself_when_the_daemon_is_back(content: Page, pages: Pages, rack: Rack, large: Path):
    pages.expect(".")  # requests fail meanwhile
    begin(content, large)
    rack.kill()
    expect(content.locator("#upload-progress")).to_contain_text("trying again")
    rack.start()

    expect(content.locator("#upload-progress .good")).to_contain_text("is received")
    content.locator("#content-work .work", has_text="failed").first.get_by_role("button", name="Clear").click()


def test_an_upload_that_is_cancelled_leaves_nothing(content: Page, pages: Pages, rack: Rack, large: Path):
    pages.expect("409")  # while the daemon has not noticed that the piece was interrupted
    begin(content, large)
    content.get_by_role("button", name="Cancel the upload").click()

    expect(content.locator("#upload-progress")).to_contain_text("is cancelled")
    assert [each for each in rack.api("/api/v1/uploads") if each["state"] == "receiving"] == []


def test_an_entry_shows_its_files_and_an_unknown_one_is_not_found(content: Page, pages: Pages):
    pages.expect("404")
    content.goto(f"/content/{MEDIUM}")
    expect(content.get_by_role("heading", level=1)).to_have_text(MEDIUM)
    screenshot(content, "content-entry")
    axe(content)

    answer = content.goto("/content/nothing")
    assert answer is not None
    assert answer.status == 404
    expect(content.locator(".notice.bad")).to_contain_text("there is no medium and no release nothing")


def test_remains_of_unfinished_work_are_deleted_after_a_confirmation(content: Page, rack: Rack):
    remains = rack.directory / "content/.staging/1-left"
    remains.mkdir(parents=True)
    (remains / "data").write_bytes(bytes(2_000_000))
    content.reload()
    content.get_by_role("link", name="Delete 1 remains (2.0 MB)").click()
    axe(content)
    content.get_by_role("button", name="Delete 1 remains").click()

    expect(content.locator(".notice.good")).to_contain_text("1 remains deleted, 2.0 MB freed.")
    assert not remains.exists()

"""Promotions and removals by the page of content, on the whole appliance in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.html_page import HtmlPage
from fixtures.image_layouts import Layout
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import AT_FIRST, RELEASES

from netboot.admin.pages.shell import Flash
from netboot.content.images.image_import import import_images
from netboot.content.library.library import Library

FORM = ("Host: localhost", "Accept: text/html", "Content-Type: application/x-www-form-urlencoded")
OLD, NEW = RELEASES


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Appliance]:
    """An appliance where cp1 installs the alias `stable` of a release; it has the image olcne/ui:1."""
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    (shared / "content" / "ostree" / "stable").symlink_to(OLD)
    layout = Layout()
    layout.name(layout.image("ui"), "olcne/ui:1")
    import_images(Library(shared / "content"), layout.archive(tmp_path / "images.tar"))
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.changed("cp1", release="stable").text())
    yield box
    box.close()


def get(box: Appliance, path: str) -> tuple[int, HtmlPage]:
    response = box.administration("GET", path, headers=FORM[:2])
    return response.status, HtmlPage.of(response.body)


def post(box: Appliance, path: str, **fields: str) -> Response:
    form = get(box, f"/content/{NEW}/promote?alias=x")[1].forms[-1]
    return box.administration("POST", path, form.body(**fields), headers=FORM)


def done(response: Response) -> Flash | None:
    """Return what the next page shows of a change."""
    assert (response.status, response.headers["location"]) == (303, "/content")
    cookie = response.headers["set-cookie"].partition(";")[0].partition("=")[2]
    return Flash.of_cookie(cookie.strip('"'))


def refusal(response: Response) -> tuple[int, list[str]]:
    return response.status, HtmlPage.of(response.body).texts("div", role="alert")


def test_a_promotion_shows_what_it_does_and_names_the_armings_that_it_ended(box: Appliance):
    assert box.arm("cp1", force=True) == 200
    plan = get(box, f"/content/{NEW}/promote?alias=stable")[1].texts("li")
    promoted = post(box, f"/content/{NEW}/promote", alias=" stable ")

    assert f"stable becomes {NEW}; it is {OLD} now" in plan
    assert "cp1: its arming ends, because it is bound to another commit" in plan
    assert "new installs get it: cp1" in plan
    assert done(promoted) == Flash(
        "warning", f"stable is {NEW} now. No longer armed, because their release is another one now: cp1."
    )
    assert box.api("GET", "/hosts/cp1/install").json()["armed"] is False


def test_without_an_alias_no_plan_is_shown_and_without_the_store_its_reason(box: Appliance):
    without = get(box, f"/content/{NEW}/promote")[1]
    with box.failing_store("nodes"):
        status, failed = get(box, f"/content/{NEW}/promote?alias=stable")

    assert "What the promotion does" not in without.texts("h2")
    assert (status, "What the promotion does" in failed.texts("h2")) == (200, True)
    assert "cp1: its arming ends" not in " ".join(failed.texts("li"))
    (reason,) = failed.texts("div", class_="warning")
    assert reason.startswith("The nodes that will notice it are not known:")


def test_what_is_used_or_unknown_is_refused_and_nothing_is_removed(box: Appliance):
    before = box.api("GET", "/content").json()

    assert refusal(post(box, "/content/nothing/remove"))[0] == 404
    assert refusal(post(box, f"/content/{OLD}/remove"))[0] == 409
    assert refusal(post(box, f"/content/-/uploads/{'0' * 32}/cancel"))[0] == 404
    assert done(post(box, "/content/-/collect")) == Flash("good", "Nothing was left behind.")
    assert box.api("GET", "/content").json() == before


def test_an_unused_entry_and_an_image_are_removed(box: Appliance):
    promoted = done(post(box, "/content/stable/promote", alias="x"))
    listed = [each.attributes.get("id") for each in get(box, "/content")[1].find("tr")]
    removed = done(post(box, "/content/x/remove"))
    page = get(box, "/content/-/image?name=olcne/ui:1")
    image = done(post(box, "/content/-/image/remove?name=olcne/ui:1"))

    assert promoted == Flash("good", f"x is {OLD} now.")
    assert {"entry-x", "entry-stable", f"entry-{OLD}", f"entry-{NEW}"} <= {*listed}
    assert removed == Flash("good", "x is removed.")
    assert (page[0], page[1].texts("h1")) == (200, ["olcne/ui:1"])
    assert image == Flash("good", "olcne/ui:1 is removed. Its blobs stay until remains are deleted.")
    assert [each["tags"] for each in box.api("GET", "/images").json()] == [[]]


@pytest.mark.parametrize("path", ["/content/-/image", "/content/-/image/remove"])
def test_a_page_of_no_image_names_how_it_is_requested(box: Appliance, path: str):
    status, page = get(box, path)

    assert status == 400
    assert page.texts("div", role="alert") == ["name an image: /content/-/image?name=REPOSITORY:TAG"]

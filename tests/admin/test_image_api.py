"""Container images by the API, on the whole appliance in one process. tests/daemon has uploads and verifications."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.image_layouts import Layout
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

from netboot.content.images.image_import import import_images
from netboot.content.library.library import Library


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


@pytest.fixture
def layout(box: Appliance, tmp_path: Path) -> Layout:
    made = Layout()
    for name in ("olcne/ui:1", "olcne/ui:2", "olcne/etcd:3", "olcne/dns:4"):
        made.name(made.image(name.partition(":")[0].replace("/", "-")), name)
    import_images(Library(box.directory / "content"), made.archive(tmp_path / "images.tar"))
    return made


def answer(box: Appliance, method: str, path: str) -> tuple[int, Any]:
    response = box.api(method, f"/images{path}")
    return response.status, without_rfc_members(response.json(), response.status)


def test_repositories_are_listed_in_pages(box: Appliance, layout: Layout):
    status, found = answer(box, "GET", "")
    page = answer(box, "GET", "?limit=2")[1]
    rest = answer(box, "GET", "?limit=2&after=olcne/etcd")[1]

    assert status == 200
    assert [(each["name"], each["tags"], each["used_by"]) for each in found] == [
        ("olcne/dns", ["4"], []),
        ("olcne/etcd", ["3"], []),
        ("olcne/ui", ["1", "2"], []),
    ]
    assert (page, rest) == (found[:2], found[2:])


def test_an_image_is_shown_by_repository_tag_and_digest(box: Appliance, layout: Layout):
    digest = layout.named[0]["digest"]
    (repository,) = [each for each in answer(box, "GET", "")[1] if each["name"] == "olcne/ui"]

    for name in ("olcne%2Fui", "olcne%2Fui:2", f"olcne%2Fui@{digest}"):
        status, shown = answer(box, "GET", f"/{name}")
        assert (status, shown["repository"], shown["reasons"]) == (200, repository, [])
        assert shown["name"] == name.replace("%2F", "/")
        assert shown["blobs"][digest] == len(layout.blobs[digest])
        assert len(shown["blobs"]) == 3


def test_tag_digest_and_repository_are_removed(box: Appliance, layout: Layout):
    assert answer(box, "DELETE", "/olcne%2Fui:1") == (200, {"removed": "olcne/ui:1", "size_bytes": 0})
    assert answer(box, "GET", "/olcne%2Fui")[1]["repository"]["tags"] == ["2"]
    digest = layout.named[0]["digest"]
    assert answer(box, "DELETE", f"/olcne%2Fui@{digest}")[1]["removed"] == f"olcne/ui@{digest}"
    assert answer(box, "DELETE", "/olcne%2Fetcd")[0] == 200
    assert [each["name"] for each in answer(box, "GET", "")[1]] == ["olcne/dns"]


@pytest.mark.parametrize("name", ["nothing", "olcne%2Fui:9", "Upper%2Fx", "..%2F..%2Fetc", "olcne%2Fui@sha256:0"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_image_is_not_found(box: Appliance, layout: Layout, method: str, name: str):
    status, found = answer(box, method, f"/{name}")

    assert (status, found["code"]) == (404, "content-unusable")
    assert found["error"].startswith("there is no image ")

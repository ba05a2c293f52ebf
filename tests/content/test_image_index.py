"""The index of images: what a path of the registry finds, in memory and on disk."""

import asyncio
import json
import random
from pathlib import Path

import pytest
from fixtures.stored_images import INDEX, MANIFEST, MadeImage, an_image, an_index, digest_of, store_image

from netboot.content.images.image_store import StoredManifest
from netboot.content.serving.image_index import (
    MOST_TAGS,
    PULLED_FOR_S,
    ImageFault,
    ImageIndex,
    ImagePart,
    ImageRequest,
    requested,
)
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import IMMUTABLE, NO_CACHE, ServedFile
from netboot.errors import ContentError
from netboot.model.release import ContentKind

NAME = "olcne/ock-ostree"
UNKNOWN = f"sha256:{'0' * 64}"


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "content").mkdir()
    return tmp_path / "content"


@pytest.fixture
def image(content: Path) -> MadeImage:
    return store_image(content, NAME, an_image(), "1.33", "latest")


def found(index: ImageIndex, path: str) -> ServedFile | ImageFault:
    return asyncio.run(index.find_new(f"/v2/{path}"))


def document(index: ImageIndex, path: str) -> tuple[object, dict[str, str]]:
    file = found(index, path)
    assert isinstance(file, ServedFile)
    assert file.body is not None
    assert (file.content_type, file.cache_control, file.size_bytes) == ("application/json", NO_CACHE, len(file.body))
    return json.loads(file.body), dict(file.fields)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/manifests/1.33", ImageRequest("a", ImagePart.MANIFEST, "1.33")),
        ("a/b/c/blobs/sha256:00", ImageRequest("a/b/c", ImagePart.BLOB, "sha256:00")),
        ("a/b/blobs/sha256%3A00?ns=docker.io", ImageRequest("a/b", ImagePart.BLOB, "sha256:00", "ns=docker.io")),
        ("a/manifests/manifests/x", ImageRequest("a/manifests", ImagePart.MANIFEST, "x")),
        ("a/tags/list?n=5", ImageRequest("a", ImagePart.TAGS, "list", "n=5")),
        ("a/referrers/sha256:00", ImageFault.NAME_UNKNOWN),
        ("_catalog", ImageFault.NAME_UNKNOWN),
        ("manifests/1.33", ImageFault.NAME_UNKNOWN),
        ("/manifests/1.33", ImageFault.NAME_INVALID),
        ("../../etc/manifests/passwd", ImageFault.NAME_INVALID),
        ("a/../b/blobs/sha256:00", ImageFault.NAME_INVALID),
        ("a%2Fb/manifests/1.33", ImageFault.NAME_INVALID),
        ("a%00/manifests/1.33", ImageFault.NAME_INVALID),
        ("a/_repository.json/manifests/1.33", ImageFault.NAME_INVALID),
        ("UPPER/manifests/1.33", ImageFault.NAME_INVALID),
        (f"{'a' * 256}/manifests/1.33", ImageFault.NAME_INVALID),
        (f"{'a/' * 2000}manifests/1.33", ImageFault.NAME_UNKNOWN),
    ],
)
def test_a_path_is_read_as_a_request_of_a_repository(path: str, expected: object) -> None:
    assert requested(f"/v2/{path}") == expected


def test_a_tag_and_a_digest_find_the_manifest_with_its_media_type(content: Path, image: MadeImage) -> None:
    index = ImageIndex(content)
    path = content / "images/blobs/sha256" / image.digest.removeprefix("sha256:")
    fields = (("Docker-Content-Digest", image.digest),)
    size, kind = len(image.blobs[image.digest]), ContentKind.IMAGE_MANIFEST

    by_tag, by_digest = found(index, f"{NAME}/manifests/1.33"), found(index, f"{NAME}/manifests/{image.digest}")

    assert by_tag == ServedFile(
        str(path), size, f'"{image.digest}"', MANIFEST, NO_CACHE, kind, NAME, "1.33", fields=fields
    )
    assert by_digest == ServedFile(
        str(path), size, f'"{image.digest}"', MANIFEST, IMMUTABLE, kind, NAME, image.digest, fields=fields
    )
    assert index.find(f"/v2/{NAME}/manifests/{image.digest}") is None


def test_an_index_and_the_manifests_in_it_are_found(content: Path) -> None:
    image = store_image(content, "olcne/ui", an_index(), "v1")

    files = [found(ImageIndex(content), f"olcne/ui/manifests/{each}") for each in ("v1", *image.manifests)]

    assert [each.content_type for each in files if isinstance(each, ServedFile)] == [INDEX, MANIFEST, MANIFEST, INDEX]


def test_a_blob_is_found_in_memory_after_its_first_request_under_any_name(content: Path, image: MadeImage) -> None:
    index, layer = ImageIndex(content), image.layers[1]

    before = index.find(f"/v2/{NAME}/blobs/{layer}")
    file = found(index, f"{NAME}/blobs/{layer}")

    assert isinstance(file, ServedFile)
    assert (before, file.size_bytes, file.is_immutable) == (None, len(image.blobs[layer]), True)
    assert (file.kind, file.etag) == (ContentKind.IMAGE_BLOB, f'"{layer}"')
    assert index.find(f"/v2/{NAME}/blobs/{layer}") is file
    assert index.find(f"/v2/another/name/blobs/{layer}?ns=x") is file
    assert index.find(f"/v2/{NAME}/manifests/{layer}") is None
    assert index.find(f"/v2/../blobs/{layer}") is None


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (f"{NAME}/manifests/1.34", ImageFault.MANIFEST_UNKNOWN),
        (f"{NAME}/manifests/{UNKNOWN}", ImageFault.MANIFEST_UNKNOWN),
        (f"{NAME}/manifests/..", ImageFault.MANIFEST_UNKNOWN),
        (f"{NAME}/manifests/", ImageFault.MANIFEST_UNKNOWN),
        (f"{NAME}/manifests/sha256:..%2f..%2fetc", ImageFault.MANIFEST_UNKNOWN),
        (f"{NAME}/blobs/{UNKNOWN}", ImageFault.BLOB_UNKNOWN),
        (f"{NAME}/blobs/sha256:../../repositories", ImageFault.NAME_UNKNOWN),
        (f"{NAME}/blobs/sha512:{'0' * 128}", ImageFault.BLOB_UNKNOWN),
        (f"{NAME}/tags/other", ImageFault.NAME_UNKNOWN),
        ("olcne/manifests/1.33", ImageFault.NAME_UNKNOWN),
        ("olcne/none/tags/list", ImageFault.NAME_UNKNOWN),
    ],
)
@pytest.mark.usefixtures("image")
def test_what_does_not_exist_has_a_code(content: Path, path: str, fault: ImageFault) -> None:
    assert found(ImageIndex(content), path) is fault


def test_a_layer_is_no_manifest(content: Path, image: MadeImage) -> None:
    path = f"{NAME}/manifests/{image.layers[0]}"

    assert found(ImageIndex(content), path) is ImageFault.MANIFEST_UNKNOWN


def test_a_manifest_of_one_repository_is_not_in_another(content: Path, image: MadeImage) -> None:
    store_image(content, "olcne/ui", an_image(seed=2), "v1")

    assert found(ImageIndex(content), f"olcne/ui/manifests/{image.digest}") is ImageFault.MANIFEST_UNKNOWN


def test_a_tag_that_moved_names_the_other_manifest_at_the_next_request(content: Path, image: MadeImage) -> None:
    index = ImageIndex(content)
    before = found(index, f"{NAME}/manifests/1.33")
    moved = store_image(content, NAME, an_image(seed=2), "1.33")

    after = found(index, f"{NAME}/manifests/1.33")

    assert isinstance(before, ServedFile)
    assert isinstance(after, ServedFile)
    assert (before.etag, after.etag) == (f'"{image.digest}"', f'"{moved.digest}"')


def test_tags_are_listed_in_the_order_of_their_bytes(content: Path, image: MadeImage) -> None:
    store_image(content, NAME, image, "1.9", "1.10", "A")

    assert document(ImageIndex(content), f"{NAME}/tags/list") == (
        {"name": NAME, "tags": ["1.10", "1.33", "1.9", "A", "latest"]},
        {},
    )


def test_pages_of_tags_lead_to_all_of_them(content: Path, image: MadeImage) -> None:
    tags = [f"v{n:04}" for n in range(2_500)]
    store_image(content, "many", image, *tags)
    index, path, got, pages = ImageIndex(content), "many/tags/list", [], []
    for _ in range(5):
        listed, fields = document(index, path)
        assert isinstance(listed, dict)
        got += listed["tags"]
        pages.append(len(listed["tags"]))
        if "Link" not in fields:
            break
        path = fields["Link"].removeprefix("</v2/").removesuffix('>; rel="next"')

    assert (got, pages) == (tags, [MOST_TAGS, MOST_TAGS, 500])


@pytest.mark.parametrize(
    ("query", "tags", "link"),
    [
        ("n=1", ["1.33"], f'</v2/{NAME}/tags/list?n=1&last=1.33>; rel="next"'),
        ("n=1&last=1.33", ["latest"], None),
        ("n=2", ["1.33", "latest"], None),
        ("n=0", [], None),
        ("n=-1", ["1.33", "latest"], None),
        (f"n={'9' * 5000}", ["1.33", "latest"], None),
        ("last=zzz", [], None),
        ("&".join(["n=1"] * 2000), ["1.33", "latest"], None),
        ("last=%ff%00", [], None),
    ],
)
@pytest.mark.usefixtures("image")
def test_a_query_selects_a_page(content: Path, query: str, tags: list[str], link: str | None) -> None:
    listed, fields = document(ImageIndex(content), f"{NAME}/tags/list?{query}")

    assert (listed, fields.get("Link")) == ({"name": NAME, "tags": tags}, link)


def test_the_root_says_which_api_it_is(content: Path) -> None:
    assert document(ImageIndex(content), "") == ({}, {"Docker-Distribution-Api-Version": "registry/2.0"})


def test_names_that_do_not_exist_fill_no_memory(content: Path, image: MadeImage) -> None:
    index, names = ImageIndex(content), random.Random(7)

    async def request() -> None:
        for _ in range(2_000):
            name = f"{names.getrandbits(64):x}"
            await index.find_new(f"/v2/{name}/manifests/1.33")
            await index.find_new(f"/v2/{name}/tags/list")
            await index.find_new(f"/v2/{name}/blobs/{digest_of(name.encode())}")
            await index.find_new(f"/v2/{name}/blobs/{image.layers[0]}")
            await index.find_new(f"/v2/{NAME}/manifests/{name}")

    asyncio.run(request())

    assert (list(index._blobs), list(index._repositories)) == ([image.layers[0]], [NAME])


def test_a_link_is_not_followed(content: Path, image: MadeImage, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    blobs = content / "images/blobs/sha256"
    (blobs / UNKNOWN.removeprefix("sha256:")).symlink_to(secret)
    outside = store_image(tmp_path / "other", "out", an_image(), "v1")
    (content / "images/repositories/out").symlink_to(tmp_path / "other/images/repositories/out")
    index = ImageIndex(content)

    assert found(index, f"a/blobs/{UNKNOWN}") is ImageFault.BLOB_UNKNOWN
    assert found(index, "out/manifests/v1") is ImageFault.NAME_UNKNOWN

    blobs.rename(tmp_path / "moved")
    blobs.symlink_to(tmp_path / "moved")

    assert found(index, f"a/blobs/{image.layers[0]}") is ImageFault.BLOB_UNKNOWN
    assert outside.digest == image.digest


def test_a_content_directory_that_is_a_link_is_served(content: Path, image: MadeImage, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(content)

    assert isinstance(found(ImageIndex(tmp_path / "link"), f"{NAME}/blobs/{image.layers[0]}"), ServedFile)


def test_a_manifest_of_another_size_is_damaged(content: Path, image: MadeImage) -> None:
    with (content / "images/blobs/sha256" / image.digest.removeprefix("sha256:")).open("ab") as file:
        file.write(b" ")

    with pytest.raises(ContentError, match="the manifest is damaged"):
        found(ImageIndex(content), f"{NAME}/manifests/1.33")


def test_a_damaged_repository_is_an_error_not_a_missing_one(content: Path, image: MadeImage) -> None:
    (content / "images/repositories" / NAME / "_repository.json").write_text("{")

    with pytest.raises(ContentError, match="is damaged"):
        found(ImageIndex(content), f"{NAME}/manifests/{image.digest}")


def test_a_media_type_that_is_none_becomes_no_field(content: Path) -> None:
    image = an_image()
    image.manifests[image.digest] = StoredManifest("a/b\r\nSet-Cookie: x", len(image.blobs[image.digest]))
    store_image(content, NAME, image, "1.33")

    file = found(ImageIndex(content), f"{NAME}/manifests/1.33")

    assert isinstance(file, ServedFile)
    assert file.content_type == "application/octet-stream"


def test_content_that_changed_is_read_again(content: Path, image: MadeImage) -> None:
    index = ContentIndex(content)
    path = f"/v2/{NAME}/blobs/{image.layers[0]}"
    file = asyncio.run(index.images.find_new(path))
    assert index.find(path) is file

    index.refresh()

    assert index.find(path) is None


def test_blobs_that_were_requested_a_moment_ago_are_pulled(content: Path, image: MadeImage):
    now_s = 1000.0
    index = ImageIndex(content, lambda: now_s)
    first, second = image.layers
    found(index, f"{NAME}/blobs/{first}")
    found(index, f"{NAME}/manifests/1.33")
    found(index, f"{NAME}/blobs/{UNKNOWN}")
    now_s += PULLED_FOR_S - 1
    found(index, f"{NAME}/blobs/{second}")

    assert index.pulled() == [first, second]
    now_s += 2
    assert index.pulled() == [second]
    assert index.find(f"/v2/{NAME}/blobs/{first}") is not None  # in memory
    assert index.pulled() == [second, first]

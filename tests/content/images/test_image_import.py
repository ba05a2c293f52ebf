"""Images made by hand are imported with their names, tags and architectures, each blob once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.image_layouts import FULL_NAME, INDEX, MANIFEST, Layout, digest_of, mirrored, tar_of

from netboot.content.images.image_import import ImportedImage, ImportedImages
from netboot.content.images.image_store import ImageRepository, ImageStore, StoredManifest
from netboot.content.library.library import Library
from netboot.errors import ContentError

Import = Callable[..., ImportedImages]
HOST = "container-registry.oracle.com"


def stored(layout: Layout, digest: str, media_type: str = MANIFEST) -> StoredManifest:
    return StoredManifest(media_type, len(layout.blobs[digest]))


def on_disk(store: ImageStore) -> dict[str, bytes]:
    return {digest: store.blob_path(digest).read_bytes() for digest in store.blobs()}


def test_each_image_of_a_directory_gets_its_name_without_the_registrys_host(
    tmp_path: Path, imported: Import, store: ImageStore
):
    layout = Layout()
    ui = layout.name(layout.image("ui"), f"{HOST}/olcne/ui:1.33")
    etcd = layout.name(layout.image("etcd"), "docker.io/library/etcd:3.5", key=FULL_NAME)

    done = imported(layout.write(tmp_path / "oci"))

    assert [(each.name, each.digest, each.platforms, each.is_new) for each in done.images] == [
        ("olcne/ui:1.33", ui, ("linux/amd64",), True),
        ("library/etcd:3.5", etcd, ("linux/amd64",), True),
    ]
    assert store.repositories() == [
        ImageRepository("library/etcd", {"3.5": etcd}, {etcd: stored(layout, etcd)}),
        ImageRepository("olcne/ui", {"1.33": ui}, {ui: stored(layout, ui)}),
    ]
    assert on_disk(store) == layout.blobs
    assert done.new_bytes == sum(map(len, layout.blobs.values()))


def test_one_image_may_have_several_names(tmp_path: Path, imported: Import, store: ImageStore):
    layout = Layout()
    image = layout.image("ui")
    for tag in ("1.33", "latest"):
        digest = layout.name(image, f"olcne/ui:{tag}")

    imported(layout.archive(tmp_path / "ui.tar"))

    assert store.repository("olcne/ui") == ImageRepository(
        "olcne/ui", {"1.33": digest, "latest": digest}, {digest: stored(layout, digest)}
    )


@pytest.mark.parametrize(
    ("in_archive", "given", "name"),
    [
        ("", "olcne/ui:1.33", "olcne/ui:1.33"),
        ("", "olcne/ui", "olcne/ui:latest"),
        ("1.33", "olcne/ui", "olcne/ui:1.33"),
        ("1.33", "olcne/ui:2", "olcne/ui:2"),
        ("quay.io/x/y:1", "olcne/ui:2", "olcne/ui:2"),
        ("localhost/ui", "", "ui:latest"),
        (f"{HOST}/olcne/ui:", "", "olcne/ui:latest"),  # as ocne names an image without a tag
    ],
)
def test_the_name_is_that_of_the_archive_or_the_given_one(
    tmp_path: Path, imported: Import, in_archive: str, given: str, name: str
):
    layout = Layout()
    layout.name(layout.image("ui"), in_archive)

    done = imported(layout.archive(tmp_path / "ui.tar"), given)

    assert [each.name for each in done.images] == [name]


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        ([""], "", "has no name for its image; give it: --image REPOSITORY:TAG"),
        (["1.33"], "", "has only the tag 1.33 for its image; give it: --image REPOSITORY"),
        (["", ""], "", "has 2 images, and one has no name; save each with its name"),
        (["a:1", "b:1"], "olcne/ui:1", "has 2 images, so --image cannot name them; leave it out"),
        (["Upper:1"], "", "names an image 'Upper:1': 'Upper' is not the name of a repository; save it again"),
    ],
)
def test_an_image_whose_name_is_not_known_is_refused(
    tmp_path: Path, imported: Import, store: ImageStore, names: list[str], given: str, message: str
):
    layout = Layout()
    for number, name in enumerate(names):
        layout.name(layout.image(f"image{number}"), name)

    with pytest.raises(ContentError, match=message):
        imported(layout.archive(tmp_path / "ui.tar"), given)

    assert on_disk(store) == {}


def test_an_index_keeps_its_digest_with_all_architectures_and_attestations(
    tmp_path: Path, imported: Import, store: ImageStore
):
    layout = Layout()
    amd64, arm64 = layout.image("ui", cpu="amd64"), layout.image("ui", cpu="arm64")
    attestation = layout.attestation(amd64)
    index = layout.name(layout.index(amd64, arm64, attestation), "olcne/ui:1.33")

    done = imported(layout.archive(tmp_path / "ui.tar"))

    size = sum(map(len, layout.blobs.values()))
    assert done.images == (ImportedImage("olcne/ui:1.33", index, ("linux/amd64", "linux/arm64"), size, is_new=True),)
    assert on_disk(store) == layout.blobs
    assert store.repository("olcne/ui") == ImageRepository(
        "olcne/ui",
        {"1.33": index},
        {each["digest"]: stored(layout, each["digest"]) for each in (amd64, arm64, attestation)}
        | {index: stored(layout, index, INDEX)},
    )


def test_an_index_without_some_of_its_architectures_is_kept_and_they_are_named(
    tmp_path: Path, imported: Import, store: ImageStore
):
    layout = Layout()
    amd64, arm64 = layout.image("ui", cpu="amd64"), layout.image("ui", cpu="arm64")
    index = layout.name(layout.index(amd64, arm64), "olcne/ui:1.33")
    layout.forget(arm64["digest"])

    done = imported(layout.archive(tmp_path / "ui.tar"))

    assert done.images[0].digest == index
    assert done.images[0].platforms == ("linux/amd64",)
    assert done.images[0].notes[0].startswith("without linux/arm64: the source has not these; ")
    assert store.repository("olcne/ui") == ImageRepository(
        "olcne/ui",
        {"1.33": index},
        {amd64["digest"]: stored(layout, amd64["digest"]), index: stored(layout, index, INDEX)},
    )


def test_an_index_without_any_of_its_images_is_refused(tmp_path: Path, imported: Import):
    layout = Layout()
    amd64 = layout.image("ui")
    layout.name(layout.index(amd64), "olcne/ui:1.33")
    layout.forget(amd64["digest"])

    with pytest.raises(ContentError, match=r"olcne/ui:1\.33 is an index without any of its images"):
        imported(layout.archive(tmp_path / "ui.tar"))


def test_an_architecture_that_was_left_out_joins_its_index_later(tmp_path: Path, imported: Import, store: ImageStore):
    layout = Layout()
    amd64, arm64 = layout.image("ui", cpu="amd64"), layout.image("ui", cpu="arm64")
    index = layout.name(layout.index(amd64, arm64), "olcne/ui:1.33")
    missing = layout.forget(arm64["digest"])
    imported(layout.archive(tmp_path / "some.tar"))
    before = set(store.blobs())
    layout.blobs[arm64["digest"]] = missing

    done = imported(layout.archive(tmp_path / "all.tar"))

    added = {digest: len(data) for digest, data in layout.blobs.items() if digest not in before}
    assert set(added) == {arm64["digest"], json.loads(missing)["config"]["digest"]}
    assert (done.images[0].notes, done.new_bytes) == ((), sum(added.values()))
    repository = store.repository("olcne/ui")
    assert repository is not None
    assert set(repository.manifests) == {amd64["digest"], arm64["digest"], index}


def test_a_signature_beside_an_image_is_kept_in_its_repository_without_a_tag(
    tmp_path: Path, imported: Import, store: ImageStore
):
    layout = Layout()
    ui = layout.name(layout.image("ui"), "olcne/ui:1.33")
    signature = layout.name(layout.image("signature"))

    imported(layout.archive(tmp_path / "ui.tar"))

    repository = store.repository("olcne/ui")
    assert repository is not None
    assert (repository.tags, set(repository.manifests)) == ({"1.33": ui}, {ui, signature})


def test_the_archives_in_a_mirrors_archive_are_all_imported(tmp_path: Path, imported: Import, store: ImageStore):
    layouts, digests = [], {}
    for name in ("ui", "etcd", "coredns"):
        layout = Layout()
        digests[name] = layout.name(
            layout.index(layout.image(name), layout.image(name, cpu="arm64")), f"{HOST}/olcne/{name}:1"
        )
        layouts.append(layout)

    done = imported(mirrored(tmp_path / "images.tgz", layouts))
    again = imported(mirrored(tmp_path / "images.tar", layouts, packs=False))

    assert [(each.name, each.digest) for each in done.images] == [
        (f"olcne/{name}:1", digest) for name, digest in digests.items()
    ]
    assert on_disk(store) == {digest: data for layout in layouts for digest, data in layout.blobs.items()}
    assert [each.is_new for each in again.images] == [False] * 3
    assert again.new_bytes == 0


def test_a_tag_moves_to_the_new_image_and_the_earlier_one_stays_by_its_digest(
    tmp_path: Path, imported: Import, store: ImageStore
):
    old, new = Layout(), Layout()
    old_digest, new_digest = old.name(old.image("old"), "olcne/ui:1"), new.name(new.image("new"), "olcne/ui:1")
    imported(old.archive(tmp_path / "old.tar"))

    done = imported(new.archive(tmp_path / "new.tar"))

    assert [(each.is_new, each.moved_from) for each in done.images] == [(True, old_digest)]
    repository = store.repository("olcne/ui")
    assert repository is not None
    assert repository.tags == {"1": new_digest}
    assert set(repository.manifests) == {old_digest, new_digest}


def test_blobs_that_exist_are_not_written_again(tmp_path: Path, imported: Import, store: ImageStore):
    layout = Layout()
    layout.name(layout.image("ui"), "olcne/ui:1")
    archive = layout.archive(tmp_path / "ui.tar")
    imported(archive)
    inodes = {digest: store.blob_path(digest).stat().st_ino for digest in store.blobs()}
    place = store.root / "repositories/olcne/ui/_repository.json"
    before = place.stat().st_ino

    done = imported(archive)

    assert [(each.is_new, each.moved_from) for each in done.images] == [(False, "")]
    assert {digest: store.blob_path(digest).stat().st_ino for digest in store.blobs()} == inodes
    assert place.stat().st_ino == before


def test_an_image_of_an_ostree_commit_is_kept_with_a_note(tmp_path: Path, imported: Import):
    layout = Layout()
    layout.name(layout.image("ock", labels={"ostree.commit": "0" * 64}), "olcne/ock-ostree:1.33")

    done = imported(layout.archive(tmp_path / "ock.tar"))

    assert done.images[0].notes == (
        "an OSTree commit is in it: netboot content import-image makes a release of it too",
    )


def test_the_tag_of_a_release_or_alias_is_not_moved_by_an_image_of_an_ostree_commit(
    tmp_path: Path, library: Library, imported: Import, store: ImageStore
):
    (library.directory / "ostree/ock-1").mkdir(parents=True)
    (library.directory / "ostree/stable").symlink_to("ock-1")
    ock, other = Layout(), Layout()
    for layout, labels in ((ock, {"ostree.commit": "0" * 64}), (other, {})):
        digest = layout.name(layout.image("image", labels=labels), "olcne/ock-ostree:stable")
    ock_digest = ock.named[0]["digest"]

    kept = imported(ock.archive(tmp_path / "ock.tar")).images[0]
    set_now = imported(other.archive(tmp_path / "other.tar")).images[0]

    assert (kept.name, kept.is_new, kept.moved_from) == (f"olcne/ock-ostree@{ock_digest}", True, "")
    assert kept.notes[-1].startswith("the tag stable stays, because a release or alias has this name")
    assert (set_now.name, set_now.notes) == ("olcne/ock-ostree:stable", ())
    repository = store.repository("olcne/ock-ostree")
    assert repository is not None
    assert (repository.tags, set(repository.manifests)) == ({"stable": digest}, {ock_digest, digest})


def test_an_image_that_is_named_by_its_digest_has_no_tag_and_by_another_is_refused(
    tmp_path: Path, imported: Import, store: ImageStore
):
    layout = Layout()
    image = layout.image("ui")
    layout.name(image, f"olcne/ui@{image['digest']}")
    done = imported(layout.archive(tmp_path / "ui.tar"))

    assert [(each.name, each.is_new) for each in done.images] == [(f"olcne/ui@{image['digest']}", True)]
    (repository,) = store.repositories()
    assert (dict(repository.tags), set(repository.manifests)) == ({}, {image["digest"]})
    wrong = f"olcne/ui@sha256:{'0' * 64}"
    with pytest.raises(ContentError, match=f"has the image {image['digest']} under the name {wrong}"):
        imported(tmp_path / "ui.tar", wrong)


def test_bytes_behind_the_end_marker_are_not_read(tmp_path: Path, imported: Import):
    layout = Layout()
    layout.name(layout.image("ui"), "olcne/ui:1")
    archive = layout.archive(tmp_path / "ui.tar")
    with archive.open("ab") as file:
        file.write(b"of an older, longer file" * 1000)

    assert [each.name for each in imported(archive).images] == ["olcne/ui:1"]


def test_of_a_docker_archive_the_manifest_is_made_and_always_the_same(
    tmp_path: Path, imported: Import, store: ImageStore
):
    layers = [tar_of({"a": b"1" * 5000}), tar_of({"b": b"2"})]
    config = json.dumps({"architecture": "arm64", "os": "linux", "rootfs": {"diff_ids": [*map(digest_of, layers)]}})
    images = [
        {"Config": "c.json", "RepoTags": ["localhost/x:1", "localhost/x:2"], "Layers": ["1/layer.tar", "2/layer.tar"]}
    ]
    members = {
        "1/layer.tar": layers[0],
        "2/layer.tar": layers[1],
        "c.json": config.encode(),
        "manifest.json": json.dumps(images).encode(),
    }
    archive = tmp_path / "docker.tar"
    archive.write_bytes(tar_of(members))

    done, again = imported(archive), imported(archive)

    repository = store.repository("x")
    assert repository is not None
    ((digest, described),) = repository.manifests.items()
    assert repository.tags == {"1": digest, "2": digest}
    assert [each.name for each in done.images] == ["x:1", "x:2"]
    assert [each.is_new for each in again.images] == [False, False]
    manifest = json.loads(store.read_blob(digest, 1000))
    assert described.media_type == MANIFEST
    assert manifest["config"]["digest"] == digest_of(config.encode())
    assert [(each["digest"], each["size"]) for each in manifest["layers"]] == [
        (digest_of(layer), len(layer)) for layer in layers
    ]


def test_indexes_in_indexes_are_refused_before_they_exhaust_the_stack(tmp_path: Path, imported: Import):
    layout = Layout()
    found = layout.image("ui")
    for _ in range(900):
        found = layout.index(found)
    layout.name(found, "olcne/ui:1")

    with pytest.raises(ContentError, match=r"has more than 100 indexes, each in the other; copy it again"):
        imported(layout.write(tmp_path / "oci"))


def test_an_image_of_more_blobs_than_any_has_is_refused(
    tmp_path: Path, imported: Import, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("netboot.content.images.image_walk._MOST_BLOBS", 1)
    layout = Layout()
    layout.name(layout.image("ui"), "olcne/ui:1")

    with pytest.raises(ContentError, match=r"has more than 1 blobs; copy it again"):
        imported(layout.write(tmp_path / "oci"))


def test_a_source_of_more_names_than_any_mirror_has_is_refused(
    tmp_path: Path, imported: Import, store: ImageStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("netboot.content.images.image_import._MOST_IMAGES", 2)
    layout = Layout()
    image = layout.image("ui")
    for number in range(3):
        layout.name(image, f"olcne/ui:{number}")

    with pytest.raises(ContentError, match=r"oci names more than 2 images; make one archive of fewer"):
        imported(layout.write(tmp_path / "oci"))
    assert store.repositories() == []

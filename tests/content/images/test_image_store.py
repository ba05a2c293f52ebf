"""The images of the content directory on disk."""

import hashlib
import stat
from pathlib import Path

import pytest

from netboot.content.images.image_store import ImageRepository, ImageStore, StoredManifest
from netboot.content.library.library import Library
from netboot.errors import ContentError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


A, B = digest_of(b"manifest a"), digest_of(b"manifest b")
ONE = StoredManifest(MANIFEST, 10)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "content")


def put(store: ImageStore, data: bytes) -> str:
    with Library(store.content).changing() as staging:
        staged = staging.directory / "blob"
        staged.write_bytes(data)
        staged.chmod(0o600)
        store.put_blob(staged, digest_of(data))
        assert not staged.exists()
    return digest_of(data)


def record(store: ImageStore, name: str, tags: dict[str, str], *digests: str) -> None:
    with Library(store.content).changing() as staging:
        store.record(name, tags=tags, manifests=dict.fromkeys(digests, ONE), staging=staging.directory)


def test_a_content_directory_without_images_has_no_repository_and_no_blob(store: ImageStore):
    assert store.repositories() == []
    assert store.repository("olcne/ui") is None
    assert list(store.blobs()) == []
    assert not store.has_blob(A)


def test_a_blob_is_kept_once_under_its_digest_and_every_user_may_read_it(store: ImageStore):
    digest = put(store, b"layer")
    inode = store.blob_path(digest).stat().st_ino

    assert put(store, b"layer") == digest
    assert list(store.blobs()) == [digest]
    assert store.read_blob(digest, 5) == b"layer"
    assert store.blob_path(digest).stat().st_ino == inode
    assert stat.S_IMODE(store.blob_path(digest).stat().st_mode) == 0o644
    assert stat.S_IMODE(store.blob_path(digest).parent.stat().st_mode) == 0o755


def test_a_blob_that_is_missing_or_too_large_for_a_manifest_is_an_error(store: ImageStore):
    digest = put(store, b"layer")

    with pytest.raises(ContentError, match="is larger than 4 bytes and is no manifest"):
        store.read_blob(digest, 4)
    with pytest.raises(ContentError, match=r"cannot read .*No such file"):
        store.read_blob(A, 4)


def test_tags_and_manifests_are_added_to_those_that_a_repository_has(store: ImageStore):
    record(store, "olcne/ui", {"1": A, "latest": A}, A)
    record(store, "olcne/ui", {"2": B, "latest": B}, B)
    record(store, "olcne/ui/more", {"1": A}, A)

    ui = ImageRepository("olcne/ui", {"1": A, "latest": B, "2": B}, {A: ONE, B: ONE})
    assert store.repositories() == [ui, ImageRepository("olcne/ui/more", {"1": A}, {A: ONE})]
    assert ui.digest_of("latest") == B
    assert ui.digest_of(A) == A
    assert ui.digest_of("3") is None
    assert ui.digest_of(digest_of(b"other")) is None


def test_a_repository_that_loses_its_last_manifest_is_removed_with_its_directories(store: ImageStore):
    record(store, "olcne/ui", {"1": A}, A)
    record(store, "olcne/etcd", {"3": B}, B)
    with Library(store.content).changing() as staging:
        store.replace(ImageRepository("olcne/ui"), staging.directory)

    assert [each.name for each in store.repositories()] == ["olcne/etcd"]
    assert not (store.root / "repositories/olcne/ui").exists()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"tags": {}}', '{"manifests": {"sha256:%s": {}}, "tags": {}}' % ("0" * 64)]
)
def test_a_damaged_repository_is_an_error_that_names_its_file(store: ImageStore, text: str):
    record(store, "olcne/ui", {"1": A}, A)
    path = store.root / "repositories/olcne/ui/_repository.json"
    path.write_text(text)

    with pytest.raises(ContentError, match=f"{path} is damaged .*; remove it, and import the images again"):
        store.repository("olcne/ui")


def test_a_tag_of_an_unknown_manifest_and_a_name_that_leads_elsewhere_are_not_read(store: ImageStore):
    record(store, "olcne/ui", {"1": A}, A)
    path = store.root / "repositories/olcne/ui/_repository.json"
    path.write_text(path.read_text().replace('"1":', '"1": "sha256:00", "2":'))

    assert store.repository("olcne/ui") == ImageRepository("olcne/ui", {"2": A}, {A: ONE})
    assert store.repository("../repositories/olcne/ui") is None


def test_a_failed_write_has_its_cure(store: ImageStore):
    with Library(store.content).changing() as staging:
        store.root.write_text("in the place of the directory")
        with pytest.raises(ContentError, match=f"cannot write below {store.content}"):
            store.record("olcne/ui", tags={"1": A}, manifests={A: ONE}, staging=staging.directory)


def test_a_repository_that_could_not_be_read_again_is_not_written(store: ImageStore, monkeypatch: pytest.MonkeyPatch):
    record(store, "olcne/ui", {"1.33": A}, A)
    monkeypatch.setattr("netboot.content.images.image_store._LARGEST_FILE", 300)

    with pytest.raises(ContentError, match=r"olcne/ui would have 2 tags and 2 manifests, more than fit into 300 bytes"):
        record(store, "olcne/ui", {"1.34": B}, B)

    assert store.repository("olcne/ui") == ImageRepository("olcne/ui", {"1.33": A}, {A: ONE})

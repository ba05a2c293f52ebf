"""Damaged ostree container images: each is refused with layer, entry and cure, and nothing of it is published."""

import json
import os
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.image_layouts import tar_of
from fixtures.ostree_images.commits import Commit, small_commit
from fixtures.ostree_images.damages import DAMAGES, a_file
from fixtures.ostree_images.exporter import Blobs, Entry, Form, ImageLayer, OstreeImage, exported
from fixtures.ostree_images.layouts import oci_archive

from netboot.content.imports.archive_import import import_archive
from netboot.content.imports.ostree_image import object_writer, release_build
from netboot.content.imports.ostree_image.ostree_import import import_ostree_image
from netboot.content.library.library import Library
from netboot.errors import ContentError

NOW = datetime(2026, 11, 30, tzinfo=UTC)
COPY = "skopeo copy docker://container-registry.oracle.com/olcne/ock-ostree:TAG oci-archive:FILE"
AGAIN = f"copy it again: {COPY}"
SENTENCES = json.loads(Path(__file__).with_name("refusals.json").read_text())

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the numbers are those of files that root made")


@pytest.fixture(scope="module")
def commit(tmp_path_factory: pytest.TempPathFactory) -> Commit:
    return small_commit(tmp_path_factory.mktemp("commit"))


def image_of(commit: Commit, **form: object) -> OstreeImage:
    return exported(commit, Form(**{"packing": "none", "chunks": 3, "tar": tarfile.PAX_FORMAT} | form))  # type: ignore[arg-type]


def refusal(directory: Path, source: Path) -> str:
    """Import a source that must be refused; verify that nothing of it is in the library, and return the sentence."""
    library = Library(directory / "content")
    with pytest.raises(ContentError) as refused:
        import_ostree_image(library, source, "ock", now=NOW)
    assert [path for path in library.directory.rglob("*") if path.is_file() and path.name != ".lock"] == []
    return str(refused.value)


def without_checksums(sentence: str) -> str:
    """Replace what depends on checksums, so that whole sentences can be compared."""
    sentence = re.sub(r"objects/[0-9a-f]{2}/", "objects/XX/", sentence)
    sentence = re.sub(r"\b[0-9a-f]{2}/HEX", "XX/HEX", re.sub(r"[0-9a-fA-F]{62,64}", "HEX", sentence))
    sentence = sentence.replace("sysroot/ostree/repo/objects/XX/HEX", "OBJECT").replace(AGAIN, "AGAIN")
    return sentence.replace("x" * 121, "X…")


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_image_is_refused_with_its_whole_sentence(tmp_path: Path, commit: Commit, name: str) -> None:
    image = image_of(commit)
    DAMAGES[name](image)

    sentence = refusal(tmp_path, image.write(tmp_path / "oci"))

    assert without_checksums(sentence) == SENTENCES[name]


OLDER = sorted(
    {"wrong_mode", "wrong_uid", "wrong_content", "wrong_target", "missing_link", "link_of_another_file", "missing_file"}
    | {"link_elsewhere", "link_to_nothing", "duplicate_file", "other_label", "cut_off_tar"}
)


@pytest.mark.parametrize("name", OLDER)
def test_the_older_form_is_verified_as_well(tmp_path: Path, commit: Commit, name: str) -> None:
    image = image_of(commit, xattrs="older", packing="gzip")
    DAMAGES[name](image)

    sentence = refusal(tmp_path, oci_archive(image.write(tmp_path / "oci"), tmp_path / "ock.tar"))

    assert sentence.startswith("ock.tar")
    assert sentence.endswith(AGAIN)


def test_the_fault_names_the_entry_that_is_wrong(tmp_path: Path, commit: Commit) -> None:
    image = image_of(commit)
    DAMAGES["wrong_mode"](image)
    image.layers[1].entries.append(Entry("usr/later"))

    assert f"ock.tar: layer 2 of 4, entry {a_file(image).name!r}: " in refusal(
        tmp_path, oci_archive(image.write(tmp_path / "oci"), tmp_path / "ock.tar")
    )


def layer_path(layout: Path, number: int) -> tuple[Path, str]:
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(Blobs(layout).path(described["digest"]).read_bytes())
    digest = manifest["layers"][number - 1]["digest"]
    return Blobs(layout).path(digest), digest


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd", "zstd:chunked"])
def test_an_altered_byte_of_a_layer_is_found_before_it_is_unpacked(
    tmp_path: Path, commit: Commit, packing: str
) -> None:
    layout = image_of(commit, packing=packing).write(tmp_path / "oci")
    path, digest = layer_path(layout, 3)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    assert re.fullmatch(
        rf"oci: layer 3 of 4 is damaged: its blob {digest} has the checksum sha256:[0-9a-f]{{64}}; {re.escape(AGAIN)}",
        refusal(tmp_path, layout),
    )


def test_a_truncated_layer_and_a_missing_one_are_refused(tmp_path: Path, commit: Commit) -> None:
    layout = image_of(commit).write(tmp_path / "oci")
    path, digest = layer_path(layout, 2)
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    truncated = refusal(tmp_path, layout)
    path.unlink()
    missing = refusal(tmp_path, layout)

    assert truncated == f"oci: the blob {digest} has {len(data) - 1} bytes instead of {len(data)}; {AGAIN}"
    assert missing == f"oci lacks the blob {digest}: it is cut off or incomplete; {AGAIN}"


def test_a_truncated_archive_is_refused(tmp_path: Path, commit: Commit) -> None:
    archive = oci_archive(image_of(commit).write(tmp_path / "oci"), tmp_path / "ock.tar")
    os.truncate(archive, archive.stat().st_size * 3 // 4)

    sentence = refusal(tmp_path, archive)
    assert "ock.tar is cut off or damaged" in sentence
    assert sentence.endswith(f"; copy it again and compare sizes, or make it again: {COPY}")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"", f"has 0 bytes and is not an archive; was the disk full? {COPY}", id="empty"),
        pytest.param(bytes(0x8001) + b"CD001" + bytes(600), "is an ISO; netboot content import-iso FILE", id="iso"),
        pytest.param(
            b"QFI\xfb" + bytes(2000),
            f"is a qcow2 disk image for a hypervisor; {COPY} creates the archive that is imported",
            id="qcow2",
        ),
        pytest.param(b"<!doctype html>" * 60, f"is not a tar; import the file that {COPY} wrote", id="html"),
        pytest.param(
            tar_of({"0.oci": b"", "1.oci": b""}),
            "is an archive of several images; netboot content import-images FILE",
            id="mirror",
        ),
    ],
)
def test_a_file_that_is_no_image_is_refused_with_the_command_for_it(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "ock.tar"
    path.write_bytes(data)

    assert refusal(tmp_path, path) == f"{path} {sentence}"


def test_a_directory_that_is_no_image_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    sentence = refusal(tmp_path, tmp_path / "empty")

    what = "is not a container image: it has no index.json and no manifest.json"
    assert sentence == f"{tmp_path / 'empty'} {what}; {COPY}"


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd"])
def test_a_diffid_that_is_not_that_of_the_tar_is_refused(tmp_path: Path, commit: Commit, packing: str) -> None:
    image = image_of(commit, packing=packing)
    diff_ids = json.loads(config_of(image.write(tmp_path / "first")))["rootfs"]["diff_ids"]
    wrong = f"sha256:{'1' * 64}"
    image.config = {"rootfs": {"type": "layers", "diff_ids": [diff_ids[0], wrong, *diff_ids[2:]]}}

    assert refusal(tmp_path, image.write(tmp_path / "oci")) == (
        f"oci: layer 2 of 4 is damaged: its tar has the DiffID {diff_ids[1]} instead of {wrong}; {AGAIN}"
    )


def config_of(layout: Path) -> bytes:
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(Blobs(layout).path(described["digest"]).read_bytes())
    return Blobs(layout).path(manifest["config"]["digest"]).read_bytes()


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_packed_layer_that_is_cut_off_is_refused_although_its_digest_is_right(
    tmp_path: Path, commit: Commit, packing: str
) -> None:
    image = image_of(commit, packing=packing)
    layout = image.write(tmp_path / "oci")
    path, digest = layer_path(layout, 2)
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(Blobs(layout).path(described["digest"]).read_bytes())
    manifest["layers"][1] |= Blobs(layout).add(path.read_bytes()[:-40], manifest["layers"][1]["mediaType"])
    Blobs(layout).write_index([Blobs(layout).add_json(manifest, described["mediaType"])], "1.33")

    sentence = refusal(tmp_path, layout)

    assert digest not in sentence
    assert re.match(r"oci: layer 2 of 4(, entry '.*')?:? ?(is damaged: |cannot be unpacked: |it ends )", sentence)


def test_a_layer_that_unpacks_to_far_more_than_its_size_ends_the_import(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_build, "_SMALL_LAYER_BYTES", 1 << 20)
    image = image_of(commit, packing="zstd")
    image.layers[1].entries.append(Entry("usr/zeros", lambda: bytes(64 << 20)))

    assert refusal(tmp_path, image.write(tmp_path / "oci")) == (
        f"oci: layer 2 of 4 unpacks to more than 200 times its size, which no OCK image does; {AGAIN}"
    )


def test_an_image_that_unpacks_to_more_than_the_free_space_ends_the_import(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = release_build.UnpackLimit

    def small(directory: Path) -> release_build.UnpackLimit:
        made = limit(directory)
        made._most_bytes = 1_000_000
        return made

    monkeypatch.setattr("netboot.content.imports.ostree_image.ostree_import.UnpackLimit", small)

    assert refusal(tmp_path, image_of(commit).write(tmp_path / "oci")) == (
        f"oci: layer 3 of 4: the image unpacks to more than the 1.0 MB that are free in {tmp_path}/content; "
        "netboot content gc, remove a release, or enlarge the file system"
    )


def test_more_objects_than_any_image_has_end_the_import(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netboot.content.imports.ostree_image.layer_objects.MOST_OBJECTS", 20)

    assert "the image has more than 20 objects, which no OCK image has" in refusal(
        tmp_path, image_of(commit).write(tmp_path / "oci")
    )


def test_large_and_small_objects_are_verified_with_one_thread_too(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_writer, "_MOST_THREADS", 1)
    monkeypatch.setattr(object_writer, "_WAITING_BYTES", 1)
    image = image_of(commit, chunks=0)
    image.layers.append(ImageLayer([], packing="none"))
    DAMAGES["wrong_large_content"](image)

    assert "(1400000 bytes)" in refusal(tmp_path, image.write(tmp_path / "oci"))


OTHERS = {
    "usr/share/nginx/html/ostree/config": "is an OSTree archive in a container; netboot content import-archive FILE",
    "disk/disk.qcow2": "is a disk image in a container, for a hypervisor; copy the OSTree image: "
    + AGAIN.removeprefix("copy it again: "),
    "bin/sh": "is not an OSTree image of OCK but another container image; netboot content import-images FILE",
}


@pytest.mark.parametrize("member", OTHERS)
def test_another_image_is_refused_with_the_command_that_takes_it(tmp_path: Path, commit: Commit, member: str) -> None:
    image = image_of(commit)
    image.layers, image.labels = [ImageLayer([Entry(member, b"x")], packing="gzip")], {"ostree.final-diffid": ""}

    assert refusal(tmp_path, image.write(tmp_path / "oci")) == f"oci {OTHERS[member]}"


def test_each_import_names_the_command_for_the_source_of_the_other(tmp_path: Path, commit: Commit) -> None:
    archive = oci_archive(image_of(commit).write(tmp_path / "oci"), tmp_path / "ock.tar")

    with pytest.raises(ContentError, match=r"^ock\.tar is the OCK image itself; netboot content import-image FILE$"):
        import_archive(Library(tmp_path / "content"), archive, now=NOW)
    assert refusal(tmp_path, commit.repo) == "repo is an OSTree archive; netboot content import-archive DIR"


def test_more_entries_of_directories_than_any_image_has_end_the_import(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories of 10 MiB, which pack to a tenth, would be 40 MB of memory each."""
    monkeypatch.setattr("netboot.content.imports.ostree_image.layer_objects.MOST_REFERENCES", 20)

    assert "the directories of the image have more than 20 entries, which no OCK image has; copy it again" in refusal(
        tmp_path, image_of(commit).write(tmp_path / "oci")
    )


def with_media_type(layout: Path, media_type: object) -> tuple[Path, str]:
    """Let manifest and index state a media type; return the layout and the digest of the manifest."""
    blobs = Blobs(layout)
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blobs.path(described["digest"]).read_bytes()) | {"mediaType": media_type}
    made = blobs.add_json(manifest, described["mediaType"]) | {"mediaType": media_type}
    blobs.write_index([made], "1.33")
    return layout, made["digest"]


@pytest.mark.parametrize("media_type", ["text/html", "text/plain\r\nX-Header: 1", ["a/b"]])
def test_a_media_type_that_would_become_the_type_of_an_answer_is_refused(
    tmp_path: Path, commit: Commit, media_type: object
) -> None:
    layout, digest = with_media_type(image_of(commit).write(tmp_path / "oci"), media_type)

    assert refusal(tmp_path, layout) == (
        f"oci: the manifest {digest} has the media type {str(media_type)!r}, which is not that of an image; {AGAIN}"
    )


def test_an_architecture_that_a_terminal_would_obey_is_refused(tmp_path: Path, commit: Commit) -> None:
    image = image_of(commit)
    image.config = {"architecture": "\x1b[2J"}

    assert refusal(tmp_path, image.write(tmp_path / "oci")) == (
        f"oci: its configuration has the architecture '\\x1b[2J'; {AGAIN}"
    )


def test_manifests_that_fill_the_memory_are_refused(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netboot.content.oci.image._MOST_MANIFEST_BYTES", 1000)

    assert refusal(tmp_path, image_of(commit).write(tmp_path / "oci")) == (
        f"oci has more than 1000 bytes of manifests; {AGAIN}"
    )


def test_the_cure_of_what_is_no_image_is_to_copy_the_image(tmp_path: Path, commit: Commit) -> None:
    copy = AGAIN.removeprefix("copy it again: ")
    (tmp_path / "other").mkdir()
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "text").write_bytes(b"text" * 1000)

    assert [refusal(tmp_path, tmp_path / name).removeprefix(f"{tmp_path}/") for name in ("other", "small", "text")] == [
        f"other is not a container image: it has no index.json and no manifest.json; {copy}",
        f"small has 1 bytes and is not an archive; was the disk full? {copy}",
        f"text is not a tar; import the file that {copy} wrote",
    ]

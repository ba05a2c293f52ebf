"""Archives as `ocne` writes them, whole and damaged, and what is not an archive at all."""

import errno
import gzip
import hashlib
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from netboot.content.imports.archive_import import ImportedRelease, import_archive
from netboot.content.library.disk import tree_size
from netboot.content.library.library import Library
from netboot.content.library.progress import Progress
from netboot.content.library.record import Record
from netboot.content.ostree.release_writer import ReleaseWriter
from netboot.content.ostree.repository import read_ref, read_release
from netboot.content.tar_stream import ByteStream
from netboot.errors import ContentError
from netboot.model.release import EntryKind, Release

if TYPE_CHECKING:
    Images = Any  # of conftest.py

NOW = datetime(2026, 11, 21, tzinfo=UTC)
REPOSITORY = "usr/share/nginx/html/ostree"
BASE = {"etc/pki/tls/private.key": b"the build node's secret", "usr/share/nginx/html/index.html": b"<html>"}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "content")


def put(library: Library, path: Path, name: str | None = None) -> ImportedRelease:
    return import_archive(library, path, name, now=NOW)


def ostree(*arguments: str) -> str:
    return subprocess.run(["ostree", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


def files_of(repo: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(repo)): path.read_bytes()
        for path in sorted(repo.rglob("*"))
        if path.is_file() and not path.name.startswith((".lock", ".netboot"))
    }


def zstd_in_frames(data: bytes) -> bytes:
    """Pack as `zstd:chunked` does: several frames, and one that readers skip (RFC 8878 §3.1.2)."""
    half = len(data) // 2
    skipped = b"\x50\x2a\x4d\x18" + (8).to_bytes(4, "little") + b"metadata"
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:]) + skipped


def gzip_in_members(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half], 1) + gzip.compress(data[half:], 1)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gzip": lambda data: gzip.compress(data, 1),
    "gzip-members": gzip_in_members,
    "zstd": lambda data: zstandard.compress(data, 1),
    "zstd-frames": zstd_in_frames,
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_an_archive_of_ocne_becomes_a_release(
    library: Library, images: "Images", small_archive: Path, pack: Callable[[bytes], bytes]
) -> None:
    layers = [images.layer(BASE), images.layer(images.repository(small_archive))]
    path = images.write(images.oci_blobs(layers, pack=pack))

    imported = put(library, path)

    root = library.directory / "ostree" / "ock-1.31-amd64"
    ref, commit = read_ref(small_archive, "ock")
    assert imported == ImportedRelease(
        name="ock-1.31-amd64",
        is_new=True,
        ref=ref,
        commit=commit,
        architecture="amd64",
        object_count=len(list((small_archive / "objects").rglob("*.*"))),
        size_bytes=sum(path.stat().st_size for path in (small_archive / "objects").rglob("*.*")),
        linked_bytes=0,
        source_digest=f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
    )
    assert files_of(root) == files_of(small_archive)
    assert subprocess.run(["ostree", "fsck", f"--repo={root}"], capture_output=True, timeout=60).returncode == 0
    assert not [path for path in library.directory.rglob("*") if "secret" in path.name or path.name == "private.key"]


def test_the_archives_of_docker_save_and_podman_save_are_read(
    library: Library, images: "Images", small_archive: Path
) -> None:
    layers = [images.layer(BASE), images.layer(images.repository(small_archive))]

    imported = put(library, images.write(images.docker_members(layers), "ock-1.31-amd64-ostree.tar"))

    assert imported.name == "ock-1.31-arm64"  # the image contains it; the file's name is not used
    assert files_of(library.directory / "ostree" / imported.name) == files_of(small_archive)


def test_a_directory_of_an_archive_is_copied_never_linked(
    library: Library, tmp_path: Path, small_archive: Path
) -> None:
    repo = tmp_path / "ock-1.32-arm64"
    shutil.copytree(small_archive, repo)

    imported = put(library, repo)

    root = library.directory / "ostree" / "ock-1.32-arm64"
    assert imported.name == "ock-1.32-arm64"
    assert files_of(root) == files_of(small_archive)
    assert all(path.stat().st_nlink == 1 for path in root.rglob("*") if path.is_file())


def test_upper_layers_replace_and_remove_members(library: Library, images: "Images", small_archive: Path) -> None:
    whole = images.repository(small_archive)
    stale = {f"{REPOSITORY}/refs/heads/old": b"0" * 64 + b"\n", f"{REPOSITORY}/refs/heads/ock": b"1" * 64 + b"\n"}
    hidden = {f"{REPOSITORY}/refs/heads/.wh.old": b""}
    ref = {name: data for name, data in whole.items() if name.endswith("refs/heads/ock")}

    imported = put(
        library, images.write(images.oci_blobs([images.layer(each) for each in (whole | stale, hidden, ref)]))
    )

    assert files_of(library.directory / "ostree" / imported.name) == files_of(small_archive)


@pytest.mark.parametrize(
    "opaque",
    [f"{REPOSITORY}/.wh..wh..opq", "usr/share/nginx/.wh.html", "usr/.wh..wh..opq", f"{REPOSITORY}/.wh.objects"],
)
def test_a_whiteout_removes_members_of_lower_layers(
    library: Library, images: "Images", small_archive: Path, opaque: str
) -> None:
    junk = images.repository(small_archive) | {f"{REPOSITORY}/objects/00/{'0' * 62}.filez": b"junk"}
    layers = [images.layer(junk), images.layer({opaque: b""} | images.repository(small_archive))]

    imported = put(library, images.write(images.oci_blobs(layers)))

    assert files_of(library.directory / "ostree" / imported.name) == files_of(small_archive)


def test_hard_links_within_the_repository_are_kept(library: Library, images: "Images", small_archive: Path) -> None:
    files = images.repository(small_archive)
    first, second = [name for name in files if name.endswith(".filez")][:2]
    linked = files | {second: files[first]}  # other bytes than its name states: they show that the link was made
    linked = {name: data for name, data in linked.items() if name != second} | {second: first}

    with pytest.raises(ContentError, match=second.removeprefix(f"{REPOSITORY}/").replace(".", r"\.")):
        put(library, images.write(images.oci_blobs([images.layer(linked)])))


def test_the_bytes_behind_the_end_marker_of_a_tar_are_ignored(
    library: Library, images: "Images", small_archive: Path
) -> None:
    path = images.write(images.oci_blobs([images.layer(images.repository(small_archive))]))
    path.write_bytes(path.read_bytes() + b"what was there before, longer" * 10_000)

    assert put(library, path).is_new


def test_the_same_archive_again_does_nothing(library: Library, images: "Images", small_archive: Path) -> None:
    layer = images.layer(images.repository(small_archive))
    path = images.write(images.oci_blobs([layer]))
    first = put(library, path)
    before = (library.directory / "ostree" / first.name).stat()

    again = put(library, path)
    packed_otherwise = put(library, images.write(images.oci_blobs([layer], pack=gzip.compress)))

    assert (again.is_new, packed_otherwise.is_new) == (False, False)
    assert (again.commit, packed_otherwise.commit) == (first.commit, first.commit)
    assert (library.directory / "ostree" / first.name).stat() == before


def test_another_commit_under_the_same_name_is_refused(
    library: Library, images: "Images", small_archive: Path, archive: Path
) -> None:
    put(library, images.write(images.oci_blobs([images.layer(images.repository(small_archive))])))
    before = files_of(library.directory / "ostree" / "ock-1.31-amd64")

    with pytest.raises(ContentError, match=r"exists already with commit .* a release never changes"):
        put(library, archive, "ock-1.31-amd64")

    assert files_of(library.directory / "ostree" / "ock-1.31-amd64") == before


def test_a_second_release_takes_only_the_space_of_changes(
    library: Library, tmp_path: Path, small_archive: Path
) -> None:
    put(library, small_archive, "first")
    changed = tmp_path / "changed"
    shutil.copytree(small_archive, changed)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "added").write_text("added")
    subprocess.run(
        ["ostree", "commit", f"--repo={changed}", "--branch=ock", "--tree=ref=ock", f"--tree=dir={tmp_path / 'new'}"],
        check=True,
        capture_output=True,
        timeout=60,
    )

    second = put(library, changed, "second")

    first_root, second_root = library.directory / "ostree" / "first", library.directory / "ostree" / "second"
    shared = {path.stat().st_ino for path in first_root.rglob("*.*") if path.is_file()}
    own = [path for path in (second_root / "objects").rglob("*.*") if path.stat().st_ino not in shared]
    assert sorted(path.suffix for path in own) == [".commit", ".dirtree", ".filez"]
    assert second.size_bytes - second.linked_bytes == sum(path.stat().st_size for path in own)


def test_a_damaged_object_of_another_release_is_not_linked(library: Library, small_archive: Path) -> None:
    put(library, small_archive, "first")
    bad = max((library.directory / "ostree" / "first").rglob("*.filez"), key=lambda path: path.stat().st_size)
    data = bytearray(bad.read_bytes())
    data[-100] ^= 1
    bad.write_bytes(data)

    put(library, small_archive, "second")

    good = library.directory / "ostree" / "second" / bad.relative_to(library.directory / "ostree" / "first")
    assert good.read_bytes() != bad.read_bytes()
    assert files_of(library.directory / "ostree" / "second") == files_of(small_archive)


def test_the_next_import_continues_from_the_files_of_a_killed_one(library: Library, small_archive: Path) -> None:
    killed = library.directory / ".staging" / "1234-killed" / "release"
    shutil.copytree(small_archive, killed)
    objects = sorted((killed / "objects").rglob("*.filez"))
    cut_off, torn, missing, *whole = objects
    cut_off.write_bytes(cut_off.read_bytes()[:-1])
    torn.write_bytes(bytes(torn.stat().st_size))
    missing.unlink()
    there = {path.relative_to(killed): path.stat().st_ino for path in whole}

    imported = put(library, small_archive, "ock")

    root = library.directory / "ostree" / "ock"
    assert files_of(root) == files_of(small_archive)
    assert {path: (root / path).stat().st_ino for path in there} == there
    lost_bytes = sum((small_archive / path.relative_to(killed)).stat().st_size for path in (cut_off, torn, missing))
    assert imported.linked_bytes == imported.size_bytes - lost_bytes
    assert list((library.directory / ".staging").iterdir()) == []


def test_the_remains_of_several_killed_imports_are_counted_once(library: Library, small_archive: Path) -> None:
    for number in range(3):
        killed = library.directory / ".staging" / f"{number}-killed" / "release"
        if number:
            shutil.copytree(library.directory / ".staging" / "0-killed" / "release", killed, copy_function=os.link)
        else:
            shutil.copytree(small_archive, killed)
    steps: list[int] = []

    class Steps(Progress):
        def step(self, _what: str, total_bytes: int) -> None:
            steps.append(total_bytes)

    import_archive(library, small_archive, "ock", now=NOW, progress=Steps())

    assert steps[0] == tree_size(small_archive)


def test_only_a_readable_regular_file_is_linked(library: Library, small_archive: Path) -> None:
    killed = library.directory / ".staging" / "1-killed" / "release"
    shutil.copytree(small_archive, killed)
    link, pipe, private, *_ = sorted((killed / "objects").rglob("*.filez"))
    link.rename(killed / "moved")
    link.symlink_to(killed / "moved")
    pipe.unlink()
    os.mkfifo(pipe)
    private.chmod(0o600)

    imported = put(library, small_archive, "ock")

    objects = list((library.directory / "ostree" / "ock" / "objects").rglob("*.*"))
    assert {(path.is_symlink(), path.stat().st_mode) for path in objects} == {(False, 0o100644)}
    assert len(objects) == imported.object_count


def test_unreferred_objects_are_not_imported(library: Library, images: "Images", small_archive: Path) -> None:
    stray = {f"{REPOSITORY}/objects/00/{'0' * 62}.filez": b"junk", f"{REPOSITORY}/tmp/x": b"1"}

    imported = put(library, images.write(images.oci_blobs([images.layer(images.repository(small_archive) | stray)])))

    assert files_of(library.directory / "ostree" / imported.name) == files_of(small_archive)


def corrupted(members: dict[str, bytes], *, name: str | None = None) -> dict[str, bytes]:
    """Flip a byte in the middle of the named member, or of the largest blob."""
    name = name or max(members, key=lambda each: len(members[each]))
    data = bytearray(members[name])
    data[len(data) // 2] ^= 0xFF
    return members | {name: bytes(data)}


def replaced_diff_id(members: dict[str, bytes], images: "Images", layer: bytes) -> dict[str, bytes]:
    """Write a wrong layer digest into the configuration, with all other digests right."""
    lying = images.oci_blobs([layer + bytes(512)])
    honest = json.loads(members["index.json"])["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads(members[f"blobs/sha256/{honest}"])
    other = json.loads(lying["index.json"])["manifests"][0]["digest"].partition(":")[2]
    manifest["config"] = json.loads(lying[f"blobs/sha256/{other}"])["config"]
    data = json.dumps(manifest).encode()
    digest = hashlib.sha256(data).hexdigest()
    index = {"manifests": [{"digest": f"sha256:{digest}", "size": len(data), "mediaType": "x"}]}
    return members | lying | {f"blobs/sha256/{digest}": data, "index.json": json.dumps(index).encode()}


def refused(library: Library, path: Path, message: str) -> None:
    with pytest.raises(ContentError, match=message):
        put(library, path)
    assert library.entries() == []
    staging = library.directory / ".staging"
    assert not staging.exists() or list(staging.iterdir()) == []


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_a_damaged_layer_is_refused(
    library: Library, images: "Images", small_archive: Path, pack: Callable[[bytes], bytes]
) -> None:
    members = images.oci_blobs([images.layer(images.repository(small_archive))], pack=pack)

    refused(library, images.write(corrupted(members)), r"ostree\.tar: .*damaged.*copy the archive again")


def test_a_layer_with_another_digest_is_refused(library: Library, images: "Images", small_archive: Path) -> None:
    layer = images.layer(images.repository(small_archive))
    members = replaced_diff_id(images.oci_blobs([layer]), images, layer)

    refused(library, images.write(members), r"layer sha256:[0-9a-f]{64} has the digest")


def test_damaged_json_is_refused(library: Library, images: "Images", small_archive: Path) -> None:
    members = images.oci_blobs([images.layer(images.repository(small_archive))])
    manifest = f"blobs/{json.loads(members['index.json'])['manifests'][0]['digest'].replace(':', '/')}"

    refused(library, images.write(corrupted(members, name=manifest)), "the blob sha256:.* is damaged")
    refused(library, images.write(members | {"index.json": b"{"}), r"index\.json is not JSON")
    refused(library, images.write(members | {"index.json": b"[]"}), "is not a readable image")


@pytest.mark.parametrize("left", [600, 5_000, 700_000, 1_540_000])
def test_an_archive_that_was_cut_off_is_refused(
    library: Library, images: "Images", small_archive: Path, left: int
) -> None:
    path = images.write(images.oci_blobs([images.layer(images.repository(small_archive))]))
    path.write_bytes(path.read_bytes()[:left])

    refused(
        library, path, r"is cut off or damaged \(.*\); copy it again and compare sizes, or make it again: ocne image"
    )


def test_an_archive_that_was_cut_off_between_two_members_is_refused(
    library: Library, images: "Images", small_archive: Path
) -> None:
    members = images.oci_blobs([images.layer(images.repository(small_archive))])
    whole = images.write(members).read_bytes()
    first = next(iter(members.values()))
    path = images.write({})
    path.write_bytes(whole[: 512 + (len(first) + 511) // 512 * 512])

    refused(library, path, "it has no end marker")


def test_a_blob_that_is_missing_or_too_short_is_named(library: Library, images: "Images", small_archive: Path) -> None:
    members = images.oci_blobs([images.layer(images.repository(small_archive))])
    largest = max(members, key=lambda name: len(members[name]))

    without = {name: data for name, data in members.items() if name != largest}
    refused(library, images.write(without), r"lacks the blob sha256:\w+: it is cut off or incomplete")
    refused(library, images.write(members | {largest: members[largest][:-1]}), r"the blob \S+ has \d+ bytes instead of")
    without_index = {name: data for name, data in members.items() if name != "index.json"}
    refused(library, images.write(without_index), r"has blobs but no index\.json: it is cut off")


def test_a_damaged_repository_in_a_whole_image_is_refused_by_its_objects(
    library: Library, images: "Images", small_archive: Path
) -> None:
    files = images.repository(small_archive, leave_out=".dirmeta")
    (meta,) = (path for path in small_archive.rglob("*.dirmeta"))

    refused(
        library,
        images.write(images.oci_blobs([images.layer(files)])),
        rf"holds a damaged OSTree archive: objects/{meta.parent.name}/{meta.name}: it is missing; copy it again",
    )


def test_another_image_is_refused(library: Library, images: "Images") -> None:
    refused(library, images.write(images.oci_blobs([images.layer(BASE)])), "it is another image; import the file")
    ock = {"sysroot/ostree/repo/objects/00/x.file": b"1", "ostree": None}
    refused(library, images.write(images.oci_blobs([images.layer(ock)])), "it is the OCK image itself")
    disk = {"disk/boot.qcow2": b"QFI\xfb"}
    refused(library, images.write(images.oci_blobs([images.layer(disk)])), "it is a disk image in a container")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        pytest.param(b"QFI\xfb" + bytes(2000), r"a qcow2 disk image .*ocne image create --type ostree", id="qcow2"),
        pytest.param(b"\xeb" + bytes(509) + b"\x55\xaa" + bytes(512), "a raw disk image", id="raw"),
        pytest.param(b"x" * 0x8001 + b"CD001" + bytes(600), "an ISO; netboot content import-iso", id="iso"),
        pytest.param(gzip.compress(bytes(range(256)) * 900, 0), "compressed as a whole; gunzip it", id="gzip"),
        pytest.param(zstandard.compress(bytes(range(256)) * 90) + bytes(900), "unzstd it", id="zstd"),
        pytest.param(b"<!doctype html>" * 60, "not a tar; import the file that ocne image create", id="html"),
        pytest.param(b"", "has 0 bytes and is not an archive", id="empty"),
    ],
)
def test_the_error_for_a_file_that_is_not_an_archive_has_the_cure(
    library: Library, tmp_path: Path, head: bytes, message: str
) -> None:
    path = tmp_path / "ock-1.31-amd64-ostree.tar"
    path.write_bytes(head)

    refused(library, path, message)


def test_the_name_of_an_image_is_not_a_file(library: Library) -> None:
    refused(
        library,
        Path("localhost/ock-ostree:latest"),
        r"seems to be an image's name: podman save --format=oci-archive -o ock-ostree\.tar localhost/ock-ostree:latest",
    )
    refused(library, Path("/nowhere/ock.tar"), "there is no file /nowhere/ock.tar$")


def test_repositories_that_cannot_be_served_are_named(library: Library, tmp_path: Path, images: "Images") -> None:
    bare = tmp_path / "bare"
    subprocess.run(["ostree", "init", f"--repo={bare}", "--mode=bare"], check=True, timeout=60)

    refused(library, bare, "in mode bare, which cannot be served over HTTP; ostree init .* pull-local")
    refused(library, tmp_path, "is not an OSTree archive: it has no config and objects")
    refused(
        library, images.write({"config": b"", "refs/heads/ock": b""}), "is a tar of an OSTree repository; unpack it"
    )


def test_a_disk_without_free_space_is_reported_before_anything_is_written(library: Library) -> None:
    with library.changing() as staging:
        status = os.statvfs(library.directory)
        with pytest.raises(ContentError, match=r"cannot import x: it needs .* and .* are free; netboot content gc"):
            staging.check_space(status.f_bavail * status.f_frsize, "x")
        staging.check_space(0, "x")


def test_an_archive_that_unpacks_to_more_than_expected_is_refused(tmp_path: Path) -> None:
    pieces = iter(bytes(1 << 20) for _ in range(1 << 20))
    calls: list[None] = []

    def refuse() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "full")

    writer = ReleaseWriter(tmp_path, [], check_reserve=refuse, on_complete=lambda _: None)

    with pytest.raises(OSError, match="full"):
        writer.put("refs/heads/bomb", 1 << 40, ByteStream(pieces))
    assert (tmp_path / "refs" / "heads" / "bomb").stat().st_size == 2 << 20


def test_a_file_with_the_name_of_a_release_is_named(library: Library, small_archive: Path) -> None:
    (library.directory / "ostree").mkdir(parents=True)
    (library.directory / "ostree" / "stable").symlink_to("removed-by-hand")

    with pytest.raises(ContentError, match=r"ostree/stable exists and is not a release; remove it, and import again"):
        put(library, small_archive, "stable")


def test_hostile_names_lead_nowhere(library: Library, images: "Images", small_archive: Path, tmp_path: Path) -> None:
    hostile = {
        f"{REPOSITORY}/../../../../../../../../..{tmp_path}/escaped": b"1",
        f"{REPOSITORY}/refs/../../../escaped": b"1",
        f"/{REPOSITORY}/refs/heads/../../../escaped": b"1",
        f"{REPOSITORY}/objects/../../escaped": b"1",
    }

    put(library, images.write(images.oci_blobs([images.layer(images.repository(small_archive) | hostile)])))

    assert not list(tmp_path.rglob("*escaped*"))
    bad = images.repository(small_archive) | {f"{REPOSITORY}/.wh...": b""}
    with pytest.raises(ContentError, match="is a whiteout without a valid name"):
        put(library, images.write(images.oci_blobs([images.layer(bad)])), "other")


@pytest.mark.parametrize(
    "names",
    [("refs/heads/a", "refs/heads/a/b"), (f"refs/heads/{'x' * 300}",), ("refs/heads/a", "refs/heads/a/.wh.b")],
    ids=["below-a-file", "too-long", "whiteout-below-a-file"],
)
def test_names_that_cannot_be_written_are_faults_of_the_archive(
    library: Library, images: "Images", small_archive: Path, names: tuple[str, ...]
) -> None:
    files = images.repository(small_archive) | {f"{REPOSITORY}/{name}": b"1" for name in names}

    path = images.write(images.oci_blobs([images.layer(files)]))
    refused(library, path, r"damaged: cannot write '\S+/refs/")


def test_members_of_an_unknown_kind_are_skipped(library: Library, images: "Images", small_archive: Path) -> None:
    unknown = tarfile.TarInfo(f"{REPOSITORY}/unknown")
    unknown.size, unknown.type = 700, b"Z"
    layer = unknown.tobuf(tarfile.USTAR_FORMAT) + b"x" * 700 + bytes(324)

    imported = put(library, images.write(images.oci_blobs([layer + images.layer(images.repository(small_archive))])))

    assert files_of(library.directory / "ostree" / imported.name) == files_of(small_archive)


def test_each_index_of_nested_indexes_is_read_once(library: Library, images: "Images", small_archive: Path) -> None:
    members = images.oci_blobs([images.layer(images.repository(small_archive))])
    (descriptor,) = json.loads(members["index.json"])["manifests"]
    for depth in range(5):
        index = json.dumps({"manifests": [descriptor | {"mediaType": None}] * 500, "depth": depth}).encode()
        digest = hashlib.sha256(index).hexdigest()
        descriptor = {"digest": f"sha256:{digest}", "size": len(index)}
        members[f"blobs/sha256/{digest}"] = members["index.json"] = index

    assert put(library, images.write(members)).is_new


def test_json_that_is_nested_too_deeply_is_refused(library: Library, images: "Images") -> None:
    refused(library, images.write({"index.json": b"[" * 200_000}), "is not a readable image: RecursionError")


@pytest.mark.parametrize("records", [{"GNU.sparse.map": "a,b"}, {"size": str(1 << 70)}, {"size": "-1024"}])
def test_an_outer_tar_with_invalid_numbers_is_refused(
    library: Library, images: "Images", records: dict[str, str]
) -> None:
    path = images.write({})
    member = tarfile.TarInfo("x")
    member.size, member.pax_headers = 3, records
    path.write_bytes(member.tobuf(tarfile.PAX_FORMAT) + b"abc" + bytes(10_000))

    refused(library, path, "is cut off or damaged|holds no container image")


def test_entries_of_an_images_directory_that_are_not_files_are_skipped(
    library: Library, images: "Images", small_archive: Path, tmp_path: Path
) -> None:
    root = tmp_path / "ock-1.31-amd64"
    for name, data in images.oci_blobs([images.layer(images.repository(small_archive))]).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "blobs" / "pipe")

    assert put(library, root).is_new
    refused(Library(tmp_path / "other"), root / "blobs" / "pipe", "is a pipe, .* write it to a file first")


def test_another_import_at_the_same_time_is_refused(library: Library, small_archive: Path) -> None:
    with (
        library.changing(),
        pytest.raises(ContentError, match=r"is being changed by process \d+; wait until it has ended"),
    ):
        put(library, small_archive, "x")

    assert put(library, small_archive, "x").is_new


def test_a_release_cannot_be_imported_under_an_alias(library: Library, small_archive: Path) -> None:
    put(library, small_archive, "first")
    with library.changing() as staging:
        entry = library.get(EntryKind.RELEASE, "first")
        assert entry is not None
        staging.promote(entry, "stable")

    with pytest.raises(ContentError, match="stable is another name of first"):
        put(library, small_archive, "stable")


def plain_pack(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("pack", [plain_pack, gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("kind", ["oci", "docker", "directory"])
def test_a_damaged_archive_is_imported_or_refused_in_one_sentence(
    library: Library, images: "Images", small_archive: Path, tmp_path: Path, pack: Callable[[bytes], bytes], kind: str
) -> None:
    layers = [images.layer(BASE), images.layer(images.repository(small_archive))]
    members = images.docker_members(layers) if kind == "docker" else images.oci_blobs(layers, pack=pack)
    whole = images.write(members).read_bytes()
    rng = random.Random(f"{pack}{kind}")
    source = tmp_path / "damaged.tar"
    refused: list[str] = []
    for number in range(40):
        if kind == "directory":
            source = tmp_path / f"damaged-{number}"
            for name, data in members.items():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_bytes(garbled(data, rng) if rng.random() < 0.3 else data)
        else:
            source.write_bytes(garbled(whole, rng))
        try:
            import_archive(library, source, f"r{number}", now=NOW)
        except ContentError as error:
            refused.append(str(error))
    assert [message for message in refused if "\n" in message] == []
    assert list((library.directory / ".staging").iterdir()) == []


def garbled(data: bytes, rng: random.Random) -> bytes:
    """Cut or overwrite a part, mostly near the beginning or end, which contain the names of other parts."""
    made = bytearray(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)
    for _ in range(rng.choice((1, 3, 30))):
        if made:
            span = min(len(made), rng.choice((600, 4000, len(made))))
            at = rng.randrange(span) if rng.random() < 0.5 else len(made) - 1 - rng.randrange(span)
            made[at] = rng.choice((0, 0x30, 0x7B, 0x80, 0xFF, rng.randrange(256)))
    return bytes(made)


@pytest.mark.parametrize("pack", [plain_pack, gzip.compress])
def test_the_source_digest_is_the_sha256_of_the_archives_file(
    library: Library, images: "Images", small_archive: Path, pack: Callable[[bytes], bytes]
) -> None:
    layers = [images.layer(BASE), images.layer(images.repository(small_archive))]
    path = images.write(images.oci_blobs(layers, pack=pack))
    with path.open("ab") as file:
        file.write(b"of an older, longer file")
    expected = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    first = import_archive(library, path, "ock", now=NOW)
    again = import_archive(library, path, "ock", now=NOW)

    record = library.find("ock").record
    assert record is not None
    assert (first.source_digest, again.source_digest, record.source_digest) == (expected, expected, expected)
    assert (first.is_new, again.is_new) == (True, False)


def test_an_unreadable_source_is_one_sentence(library: Library, small_archive: Path, tmp_path: Path) -> None:
    for source in (tmp_path / "\0", tmp_path / ("x" * 300), Path("/proc/self/mem")):
        with pytest.raises(ContentError):
            import_archive(library, source, "ock", now=NOW)


def test_an_imported_release_is_not_walked_again_until_an_object_comes_or_goes(
    library: Library, small_archive: Path
) -> None:
    imported = put(library, small_archive)
    root = library.directory / "ostree" / imported.name
    (dirtree, *_) = sorted(root.glob("objects/??/*.dirtree"))
    with dirtree.open("r+b") as file:  # a walk reads it, an index does not
        file.truncate(1)

    release = Release(imported.name, imported.ref, imported.commit, imported.object_count)
    assert read_release(library.directory, imported.name) == release

    (dirtree.parent / "new").touch()
    with pytest.raises(ContentError, match=rf"{dirtree.name} is damaged: "):
        read_release(library.directory, imported.name)


def test_an_imported_release_whose_ref_moved_is_walked(library: Library, small_archive: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("other")
    archive = tmp_path / "ock-2"
    shutil.copytree(small_archive, archive)
    second = ostree("commit", f"--repo={archive}", "--branch=ock", f"--tree=dir={tmp_path / 'other'}").strip()
    first = ostree("rev-parse", f"--repo={archive}", "ock^").strip()

    imported = put(library, archive)

    record = Record.read(library.directory / "ostree" / imported.name)
    assert record is not None
    assert (record.commit, record.pull_count) == (second, 4)  # commit, dirtree, dirmeta, file
    assert record.object_count == imported.object_count > 4
    assert read_release(library.directory, imported.name) == Release(imported.name, "ock", second, 4)
    (library.directory / "ostree" / imported.name / "refs/heads/ock").write_text(first + "\n")
    reached = len(list((small_archive / "objects").rglob("*.*")))
    assert read_release(library.directory, imported.name) == Release(imported.name, "ock", first, reached)

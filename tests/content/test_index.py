"""The index finds served files in memory, and files that are copied in later."""

import asyncio
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.content.serving.index import RESCAN_INTERVAL_S, ContentIndex
from netboot.content.serving.served_file import IMMUTABLE, NO_CACHE, ServedFile
from netboot.model.release import ContentKind, EntryKind

_NAMES = ["..", ".", "", "%2e%2e", "%2f", "etc", "passwd", "content", "ostree", "ol8", "ock-1", "media", "\0"]


def loaded(directory: Path) -> ContentIndex:
    content = ContentIndex(directory)
    content.refresh()
    return content


def found(content: ContentIndex, url_path: str) -> ServedFile:
    file = content.find(url_path)
    assert file is not None, url_path
    return file


@pytest.mark.parametrize(
    ("url_path", "member", "kind"),
    [
        ("/content/ol8/vmlinuz", "vmlinuz", ContentKind.KERNEL),
        ("/content/ol8/images/pxeboot/vmlinuz", "vmlinuz", ContentKind.KERNEL),
        ("/content/ol8/initrd.img", "initrd.img", ContentKind.INITRD),
        ("/content/ol8/images/pxeboot/initrd.img", "initrd.img", ContentKind.INITRD),
        ("/content/ol8/images/install.img", "images/install.img", ContentKind.STAGE2),
    ],
)
def test_a_flat_medium_is_served_under_anacondas_names_too(
    content_directory: Path, url_path: str, member: str, kind: ContentKind
) -> None:
    file = found(loaded(content_directory), url_path)

    assert (file.path, file.kind) == (str(content_directory / "media" / "ol8" / member), kind)
    assert (file.owner, file.member) == ("ol8", url_path.removeprefix("/content/ol8/"))
    assert file.cache_control == NO_CACHE


def test_a_medium_laid_out_as_on_its_iso_is_served_under_the_short_names(content_directory: Path) -> None:
    medium = content_directory / "media" / "ol8"
    (medium / "images" / "pxeboot").mkdir()
    (medium / "vmlinuz").rename(medium / "images" / "pxeboot" / "vmlinuz")

    file = found(loaded(content_directory), "/content/ol8/vmlinuz")

    assert file.path == str(medium / "images" / "pxeboot" / "vmlinuz")


def test_a_treeinfo_is_generated_only_if_there_is_none(content_directory: Path) -> None:
    made = found(loaded(content_directory), "/content/ol8/.treeinfo")
    (content_directory / "media" / "ol8" / ".treeinfo").write_text("[general]\n")
    own = found(loaded(content_directory), "/content/ol8/.treeinfo")

    assert made.body is not None
    assert b"mainimage = images/install.img" in made.body
    assert (made.kind, made.content_type) == (ContentKind.TREEINFO, "text/plain; charset=utf-8")
    assert (own.body, own.size_bytes) == (None, 10)


def test_every_object_of_an_archive_is_known_with_its_length(content_directory: Path) -> None:
    content = loaded(content_directory)
    repo = content_directory / "ostree" / "ock-1"
    objects = [path for path in repo.glob("objects/??/*") if path.is_file()]

    assert len(objects) > 300
    for path in objects:
        file = found(content, f"/ostree/ock-1/{path.relative_to(repo)}")
        assert (file.path, file.size_bytes) == (str(path), path.stat().st_size)
        assert (file.cache_control, file.kind) == (IMMUTABLE, ContentKind.OSTREE_OBJECT)
        assert file.is_immutable


@pytest.mark.parametrize("member", ["config", "refs/heads/ock"])
def test_files_that_may_change_are_revalidated(content_directory: Path, member: str) -> None:
    assert found(loaded(content_directory), f"/ostree/ock-1/{member}").cache_control == NO_CACHE


@pytest.mark.parametrize("member", [".lock", "tmp/x", "state/x", "extensions/x", "objects", "refs", "other"])
def test_files_that_no_pull_requests_are_not_served(content_directory: Path, member: str) -> None:
    path = content_directory / "ostree" / "ock-1" / member
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")

    content = loaded(content_directory)

    assert content.find(f"/ostree/ock-1/{member}") is None
    assert asyncio.run(content.find_new(f"/ostree/ock-1/{member}")) is None


def test_a_link_that_leads_out_is_not_served_and_is_named(content_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    medium = content_directory / "media" / "ol8"
    (medium / "out").symlink_to(tmp_path / "secret")
    (medium / "dir").symlink_to(tmp_path, target_is_directory=True)
    (medium / "circle").symlink_to("circle")
    (content_directory / "media" / "away").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(medium / "pipe")

    content = loaded(content_directory)

    for path in ("ol8/out", "ol8/dir/secret", "ol8/circle", "ol8/pipe", "away/secret"):
        assert content.find(f"/content/{path}") is None
        assert asyncio.run(content.find_new(f"/content/{path}")) is None
    assert {problem.split(" ")[0] for problem in content.problems} == {
        str(medium / name) for name in ("out", "dir", "circle", "pipe")
    }


def test_a_medium_that_is_a_link_to_itself_keeps_no_other_from_being_served(content_directory: Path) -> None:
    (content_directory / "media" / "current").symlink_to("current")

    content = loaded(content_directory)

    assert content.names(EntryKind.MEDIUM) == ["ol8"]
    assert asyncio.run(content.find_new("/content/current/vmlinuz")) is None


def test_a_link_that_stays_inside_is_served(content_directory: Path) -> None:
    media = content_directory / "media"
    (media / "stable").symlink_to("ol8", target_is_directory=True)
    (media / "ol8" / "linux").symlink_to("vmlinuz")

    content = loaded(content_directory)

    assert found(content, "/content/stable/vmlinuz").path == str(media / "ol8" / "vmlinuz")
    assert found(content, "/content/ol8/linux").path == str(media / "ol8" / "vmlinuz")
    assert content.names(EntryKind.MEDIUM) == ["ol8", "stable"]


def test_a_release_copied_in_while_running_is_found_at_its_first_request(content_directory: Path) -> None:
    content = loaded(content_directory)
    shutil.copytree(content_directory / "ostree" / "ock-1", content_directory / "ostree" / "ock-2")

    assert content.find("/ostree/ock-2/config") is None
    file = asyncio.run(content.find_new("/ostree/ock-2/config"))

    assert file == content.find("/ostree/ock-2/config")
    assert content.names(EntryKind.RELEASE) == ["ock-1", "ock-2"]


def test_a_file_that_appears_or_changes_is_found_by_itself(content_directory: Path) -> None:
    content = loaded(content_directory)
    repo = content_directory / "ostree" / "ock-1"
    (repo / "delta-indexes").mkdir()
    (repo / "delta-indexes" / "one.index").write_bytes(b"summary")
    (repo / "refs" / "heads" / "ock").write_text("longer than it was" * 10)

    index = asyncio.run(content.find_new("/ostree/ock-1/delta-indexes/one.index"))
    ref = asyncio.run(content.find_new("/ostree/ock-1/refs/heads/ock"))

    assert index is not None
    assert ref is not None
    assert (index.size_bytes, ref.size_bytes) == (7, 180)
    assert content.find("/ostree/ock-1/delta-indexes/one.index") == index
    assert content.find("/ostree/ock-1/refs/heads/ock") == ref


def test_an_object_that_was_requested_and_then_replaced_is_read_again(content_directory: Path) -> None:
    content = loaded(content_directory)
    (path, *_) = sorted((content_directory / "ostree" / "ock-1" / "objects").rglob("*.filez"))
    url = f"/{path.relative_to(content_directory)}"
    before = found(content, url)
    path.write_bytes(path.read_bytes() + b"longer")

    assert found(content, url) is before
    after = asyncio.run(content.find_new(url))

    assert after is not None
    assert after.size_bytes == before.size_bytes + 6
    assert content.find(url) == after
    content.refresh()
    assert found(content, url).size_bytes == after.size_bytes


def test_a_release_that_was_pulled_and_then_removed_is_forgotten(content_directory: Path) -> None:
    content = loaded(content_directory)
    (path, *_) = sorted((content_directory / "ostree" / "ock-1" / "objects").rglob("*.filez"))
    url = f"/{path.relative_to(content_directory)}"
    found(content, url)
    shutil.rmtree(content_directory / "ostree" / "ock-1")

    content.refresh()

    assert content.find(url) is None


def test_one_release_is_read_again_with_its_aliases_and_nothing_else(content_directory: Path) -> None:
    releases = content_directory / "ostree"
    shutil.copytree(releases / "ock-1", releases / "ock-2")
    for alias, target in (("stable", "ock-1"), ("next", "ock-2")):
        (releases / alias).symlink_to(target)
    content = loaded(content_directory)
    for name in ("ock-1", "ock-2"):
        (releases / name / "config").write_text("changed")
    paths = [f"/ostree/{name}/config" for name in ("ock-1", "stable", "ock-2", "next")]
    before = [found(content, path) for path in paths]

    trees = content.read((EntryKind.RELEASE, "ock-1"))

    assert [found(content, path) for path in paths] == before  # nothing is replaced yet
    assert trees.keys() == {(EntryKind.RELEASE, "ock-1"), (EntryKind.RELEASE, "stable")}
    content.replace(trees)
    assert [found(content, path).size_bytes == 7 for path in paths] == [True, True, False, False]
    assert content.read((EntryKind.RELEASE, "stable")).keys() == {(EntryKind.RELEASE, "stable")}


def test_a_release_that_is_gone_is_not_served_after_it_was_read_again(content_directory: Path) -> None:
    (content_directory / "ostree" / "stable").symlink_to("ock-1")
    content = loaded(content_directory)
    shutil.rmtree(content_directory / "ostree" / "ock-1")

    trees = content.read((EntryKind.RELEASE, "ock-1"))
    content.replace(trees)

    assert trees == {(EntryKind.RELEASE, "ock-1"): None, (EntryKind.RELEASE, "stable"): None}
    assert (content.names(EntryKind.RELEASE), content.names(EntryKind.MEDIUM)) == ([], ["ol8"])


def test_a_file_that_goes_away_is_forgotten(content_directory: Path) -> None:
    content = loaded(content_directory)
    (content_directory / "media" / "ol8" / "vmlinuz").unlink()

    assert asyncio.run(content.find_new("/content/ol8/vmlinuz")) is None
    assert content.find("/content/ol8/vmlinuz") is None


def test_a_name_is_read_at_most_once_in_two_seconds(content_directory: Path) -> None:
    now = [100.0]
    content = ContentIndex(content_directory, monotonic=lambda: now[0])
    media = content_directory / "media"

    async def ask() -> ServedFile | None:
        return await content.find_new("/content/ol8/vmlinuz")

    (media / "ol8").rename(media / "ol8-later")
    (media / "ol8").symlink_to("/", target_is_directory=True)  # a directory, but not one that is served
    assert asyncio.run(ask()) is None
    (media / "ol8").unlink()
    (media / "ol8-later").rename(media / "ol8")
    assert asyncio.run(ask()) is None
    now[0] += RESCAN_INTERVAL_S
    assert asyncio.run(ask()) is not None


def test_many_concurrent_requests_for_a_new_release_wait_for_one_scan(content_directory: Path) -> None:
    content = ContentIndex(content_directory)

    async def ask_together() -> list[ServedFile | None]:
        return await asyncio.gather(*[content.find_new("/ostree/ock-1/config") for _ in range(20)])

    files = asyncio.run(ask_together())

    assert files == [content.find("/ostree/ock-1/config")] * 20
    assert None not in files


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(_NAMES), max_size=8))
def test_no_url_names_anything_outside(content_directory: Path, names: list[str]) -> None:
    content = loaded_once(content_directory)
    url_path = "/" + "/".join(names)

    for file in (content.find(url_path), asyncio.run(content.find_new(url_path))):
        assert file is None or file.path.startswith(f"{content_directory}/")


_once: dict[Path, ContentIndex] = {}


def loaded_once(directory: Path) -> ContentIndex:
    if directory not in _once:
        _once[directory] = loaded(directory)
    return _once[directory]


def test_an_object_that_was_replaced_is_read_again_however_its_url_is_written(content_directory: Path) -> None:
    content = loaded(content_directory)
    (path, *_) = sorted((content_directory / "ostree" / "ock-1" / "objects").rglob("*.filez"))
    url = f"/{path.relative_to(content_directory)}"
    spellings = [url, f"{url}?x", url.replace("/objects", "//objects"), url.replace("filez", "%66ilez")]
    before = {found(content, spelling) for spelling in spellings}
    path.write_bytes(path.read_bytes() + b"longer")

    after = asyncio.run(content.find_new(spellings[1]))

    assert len(before) == 1
    assert [content.find(spelling) for spelling in spellings] == [after] * len(spellings)


def test_requests_with_suffixes_to_an_objects_url_fill_no_memory(content_directory: Path) -> None:
    content = loaded(content_directory)
    (path, *_) = sorted((content_directory / "ostree" / "ock-1" / "objects").rglob("*.filez"))
    url = f"/{path.relative_to(content_directory)}"

    tracemalloc.start()
    for n in range(1000):
        found(content, f"{url}?{n:010000}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 1_000_000


@pytest.mark.parametrize("path", [f"/content/{'a' * 300}/x", f"/ostree/{'a' * 300}/x", f"/content/ol8/{'a' * 300}"])
def test_a_name_that_no_disk_can_hold_is_not_there(content_directory: Path, path: str) -> None:
    assert asyncio.run(loaded(content_directory).find_new(path)) is None

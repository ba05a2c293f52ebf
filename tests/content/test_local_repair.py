"""Damaged files are replaced by sound ones of other content, and by nothing else."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.files import fill_content

from netboot.content.library.disk import sha256
from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.content.ostree.deltas import DIGESTS, delta_digests
from netboot.content.scrub.local_repair import repair_locally
from netboot.content.serving.withheld_files import WithheldFile

RELEASE, MEDIUM = "ock-1.31-amd64", "ol8u10-x86_64"
AT = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    fill_content(tmp_path)
    return Library(tmp_path)


def withheld(library: Library, kind: str, owner: str, member: str) -> WithheldFile:
    return WithheldFile(str(library.directory / kind / owner / member), "", kind, owner, member, "", AT)


def an_object(library: Library) -> tuple[Path, str]:
    path = min((library.directory / "ostree" / RELEASE / "objects").glob("*/*.filez"))
    return path, path.relative_to(library.directory / "ostree" / RELEASE).as_posix()


def test_an_object_is_linked_from_a_release_that_has_it_and_never_from_a_damaged_one(library: Library):
    path, member = an_object(library)
    sound = path.read_bytes()
    releases = library.directory / "ostree"
    shutil.copytree(releases / RELEASE, releases / "bad")
    (releases / "bad" / member).write_bytes(b"damaged too")
    path.write_bytes(b"damaged")
    file = withheld(library, "ostree", RELEASE, member)

    before = repair_locally(library, [file])
    shutil.copytree(releases / "bad", releases / "good")
    (releases / "good" / member).unlink()
    (releases / "good" / member).write_bytes(sound)
    after = repair_locally(library, [file])

    assert (before, after) == ([], [str(path)])
    assert path.read_bytes() == sound
    assert path.samefile(releases / "good" / member)
    assert list((library.directory / ".staging").iterdir()) == []


def test_a_mode_that_hides_a_sound_file_is_corrected(library: Library):
    path, member = an_object(library)
    path.chmod(0)

    assert repair_locally(library, [withheld(library, "ostree", RELEASE, member)]) == [str(path)]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_of_a_medium_is_linked_from_another_medium_with_the_same_digest(library: Library):
    media = library.directory / "media"
    files = {"vmlinuz": sha256(media / MEDIUM / "vmlinuz")}
    Record("a.iso", "", "2026-11-30T00:00:00+00:00", files=files).write(media / MEDIUM)
    (media / "other/boot").mkdir(parents=True)
    shutil.copy(media / MEDIUM / "vmlinuz", media / "other/boot/kernel")
    Record("b.iso", "", "2026-11-30T00:00:00+00:00", files={"boot/kernel": files["vmlinuz"]}).write(media / "other")
    (media / MEDIUM / "vmlinuz").write_bytes(b"damaged")

    repaired = repair_locally(library, [withheld(library, "media", MEDIUM, "vmlinuz")])

    assert repaired == [str(media / MEDIUM / "vmlinuz")]
    assert sha256(media / MEDIUM / "vmlinuz") == files["vmlinuz"]


def test_a_damaged_delta_is_removed_with_the_summary_that_names_it(library: Library):
    release = library.directory / "ostree" / RELEASE
    (release / "deltas/ab").mkdir(parents=True)
    (release / "deltas/ab/superblock").write_text("damaged")
    (release / "summary").write_text("names it")
    (release / DIGESTS).write_text('{"deltas/ab/superblock": "00"}')
    assert delta_digests(release) == {"deltas/ab/superblock": "00"}

    repaired = repair_locally(library, [withheld(library, "ostree", RELEASE, "deltas/ab/superblock")])

    assert repaired == [str(release / "deltas/ab/superblock")]
    assert not any((release / name).exists() for name in ("deltas", "summary", DIGESTS))


def test_two_damaged_files_of_a_delta_remove_it_once(library: Library):
    release = library.directory / "ostree" / RELEASE
    members = ["deltas/ab/0", "deltas/ab/superblock", "delta-indexes/ab.index", "summary"]
    for member in members:
        (release / member).parent.mkdir(parents=True, exist_ok=True)
        (release / member).write_text("damaged")

    repaired = repair_locally(library, [withheld(library, "ostree", RELEASE, member) for member in members])

    assert repaired == [str(release / member) for member in members]
    assert not any((release / member).exists() for member in members)


def test_a_damaged_ref_is_written_as_it_was_imported_and_no_delta_is_removed(library: Library):
    release = library.directory / "ostree" / RELEASE
    ref = release / "refs/heads/ock"
    commit = ref.read_text()
    (release / "deltas").mkdir()
    file = withheld(library, "ostree", RELEASE, "refs/heads/ock")
    ref.write_text("damaged\n")

    without_record = repair_locally(library, [file])
    recorded = Record("a.tar", "", "2026-11-30T00:00:00+00:00", ref="ock", commit=commit.strip())
    replace(recorded, commit="0" * 64).write(release)
    of_a_commit_that_is_not_there = repair_locally(library, [file])
    recorded.write(release)
    repaired = repair_locally(library, [file])

    assert (without_record, of_a_commit_that_is_not_there, repaired) == ([], [], [str(ref)])
    assert ref.read_text() == commit
    assert (release / "deltas").is_dir()


def test_what_was_removed_meanwhile_is_not_repaired(library: Library):
    assert repair_locally(library, [withheld(library, "ostree", "gone", "objects/ab/cd.filez")]) == []

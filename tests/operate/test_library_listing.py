"""A medium or release is described by its import record, or by its files if it was copied without an import."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.content.ostree.repository import commit_named
from netboot.content.serving.withheld_files import WithheldFile
from netboot.model.host.host import HostSet
from netboot.model.release import EntryKind
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content.library_listing import ListedContent, listed

OCK, OL8 = "ock-1.31-amd64", "ol8u10-x86_64"
RECORD = Record(
    "a.tar", "d" * 64, "2026-11-01T00:00:00+00:00", ref="ock", commit="c" * 64, object_count=7, size_bytes=9
)


@pytest.fixture
def library(content: Path, tmp_path: Path) -> Library:
    own = Path(shutil.copytree(content, tmp_path / "own", symlinks=True))
    (own / "ostree/prod").symlink_to(OCK)
    return Library(own)


def described(library: Library, hosts: HostSet, name: str, *withheld: WithheldFile) -> ListedContent:
    return listed(library.find(name), library, ContentUsers((), hosts), withheld=withheld)


def test_what_was_copied_is_described_by_its_files(library: Library, hosts: HostSet):
    found = described(library, hosts, OCK)
    commit = commit_named(library.directory, OCK)

    assert commit is not None
    assert (found.ref, found.commit, found.what) == ("ock", commit, f"ock {commit[:12]}")
    assert (found.kind, found.aliases, found.used_by) == ("release", ["prod"], ["cp1", "w1"])
    assert (found.object_count, found.imported_at, found.source) == (None, None, None)
    assert found.size_bytes > 0


def test_what_was_imported_is_described_by_its_record(library: Library, hosts: HostSet):
    RECORD.write(library.directory / "ostree" / OCK)
    replace(RECORD, description="Oracle Linux 8.10", ref="", commit="", kernel="5.15").write(
        library.directory / "media" / OL8
    )
    release, medium = described(library, hosts, OCK), described(library, hosts, OL8)

    assert (release.what, release.object_count, release.size_bytes) == ("ock cccccccccccc, 7 objects", 7, 9)
    assert (release.imported_at, release.source, release.source_digest) == (RECORD.imported_at, "a.tar", "d" * 64)
    assert (medium.what, medium.kernel, medium.object_count) == ("Oracle Linux 8.10", "5.15", None)
    assert (medium.ref, medium.commit, medium.architecture) == (None, None, None)


def test_a_release_whose_ref_cannot_be_read_is_listed_without_it(library: Library, hosts: HostSet):
    shutil.rmtree(library.directory / "ostree" / OCK / "refs")

    found = described(library, hosts, OCK)

    assert (found.ref, found.commit, found.what) == (None, None, "")


def test_the_damaged_files_of_an_alias_are_those_of_the_release_that_it_names(library: Library, hosts: HostSet):
    at = datetime(2026, 11, 30, tzinfo=UTC)
    owners = [(EntryKind.RELEASE, OCK), (EntryKind.RELEASE, OCK), (EntryKind.RELEASE, "other"), (EntryKind.MEDIUM, OCK)]
    files = [
        WithheldFile(f"/{number}", "unit", kind, name, "file", "bad", at) for number, (kind, name) in enumerate(owners)
    ]

    counts = [described(library, hosts, name, *files).damaged_files for name in (OCK, "prod", OL8)]

    assert counts == [2, 2, 0]

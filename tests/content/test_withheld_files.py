"""The damaged files that are not served: their titles and cures, and which requests they concern."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from netboot.content.serving.served_file import served_file
from netboot.content.serving.withheld_files import WithheldFile, WithheldFiles
from netboot.model.release import ContentKind

AT = datetime(2026, 11, 30, tzinfo=UTC)
DIGEST = f"sha256:{'ab' * 32}"
AGAIN = "it is made again when nothing else changes the content"


def withheld(kind: str, member: str, owner: str = "ock-1", *images: str, path: str = "/x") -> WithheldFile:
    return WithheldFile(path, "", kind, owner, member, "cut off", AT, images)


@pytest.mark.parametrize(
    ("file", "title", "cure"),
    [
        (
            withheld("ostree", "objects/a.filez"),
            "objects/a.filez of ock-1",
            "netboot content verify ock-1 --repair-from SOURCE",
        ),
        (
            withheld("ostree", "refs/heads/ock"),
            "refs/heads/ock of ock-1",
            "copy this file again from the archive that the release is from",
        ),
        (withheld("ostree", "summary"), "summary of ock-1", AGAIN),
        (withheld("ostree", "deltas/ab/superblock"), "deltas/ab/superblock of ock-1", AGAIN),
        (withheld("ostree", "delta-indexes/ab"), "delta-indexes/ab of ock-1", AGAIN),
        (withheld("media", "summary", "ol8"), "summary of ol8", "netboot content verify ol8 --repair-from SOURCE"),
        (withheld("media", "refs/x", "ol8"), "refs/x of ol8", "netboot content verify ol8 --repair-from SOURCE"),
        (
            withheld("images", "blobs/ab", DIGEST, "olcne/ui:2", "olcne/ui:1"),
            f"{DIGEST} of olcne/ui:2",
            "netboot content verify olcne/ui:2 --repair-from SOURCE",
        ),
        (withheld("images", "blobs/ab", DIGEST), DIGEST, "no image has it: netboot content gc deletes it"),
    ],
)
def test_a_file_has_its_title_and_what_repairs_it(file: WithheldFile, title: str, cure: str):
    assert (file.title, file.cure) == (title, cure)


def test_a_file_is_withheld_until_the_next_round_finds_it_sound(tmp_path: Path):
    paths = [str(tmp_path / name) for name in ("a", "b")]
    status = tmp_path.stat()
    a, b = (served_file(path, status, kind=ContentKind.KERNEL, owner="ol8", member="vmlinuz") for path in paths)
    bad_a, bad_b = (withheld("media", "vmlinuz", "ol8", path=path) for path in paths)
    files = WithheldFiles()
    before = files.of(a)

    files.replace([bad_b, bad_a])
    found = [files.all(), len(files), files.of(a)]
    files.replace([bad_b])

    assert before is None
    assert found == [[bad_a, bad_b], 2, bad_a]
    assert (files.of(a), files.of(b), len(files)) == (None, bad_b, 1)

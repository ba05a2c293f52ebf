"""The bytes of a support archive."""

import io
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from netboot.operate.support import support_archive
from netboot.operate.support.support_archive import ArchiveHead, write_archive
from netboot.operate.support.support_parts import Gathered, SupportFile, SupportPart, text_file

AT = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)
HEAD = ArchiveHead("cp1", AT, "1.2.3", ("topsecret", "short"))
TOP = "netboot-support-cp1-20261129T120000Z"


async def _none() -> Sequence[SupportFile]:
    return []


PARTS = [SupportPart("b.txt", "the letter b", _none), SupportPart("d/", "a directory", _none)]


def written(head: ArchiveHead, *files: SupportFile, faults: Sequence[str] = ()) -> bytes:
    packed = io.BytesIO()
    write_archive(packed, head, PARTS, Gathered([*files], [*faults]))
    return packed.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name.removeprefix(f"{TOP}/"): archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def test_equal_files_make_equal_bytes_sorted_by_name_with_one_owner_and_time():
    files = [text_file("d/2", "two"), text_file("b.txt", "b"), text_file("d/1", "one")]

    one, other = written(HEAD, *files), written(HEAD, *reversed(files))
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        members = archive.getmembers()

    assert one == other
    assert [member.name for member in members] == [f"{TOP}/{name}" for name in ("b.txt", "d/1", "d/2", "README.txt")]
    assert {(member.mtime, member.mode, member.uid, member.uname) for member in members} == {
        (AT.timestamp(), 0o600, 0, "netboot")
    }


def test_the_readme_names_each_file_and_what_it_is():
    text = read(written(HEAD, text_file("d/1", "one"), text_file("b.txt", "b")))["README.txt"].decode()

    assert text.startswith(
        "Support archive of the host cp1 and this appliance, made by netboot 1.2.3 at 2026-11-29 12:00:00 UTC.\n"
    )
    assert [line.split(maxsplit=2) for line in text.splitlines()[5:]] == [
        ["1", "b.txt", "the letter b"],
        ["3", "d/1", "a directory"],
    ]


@pytest.mark.parametrize(
    ("subject", "name", "of"),
    [
        (None, "netboot-support-appliance-20261129T120000Z", "this appliance"),
        ("52:54:00:aa:bb:01", "netboot-support-52-54-00-aa-bb-01-20261129T120000Z", "the machine 52:54:00:aa:bb:01"),
    ],
)
def test_an_archive_of_the_appliance_or_of_an_unregistered_machine(subject: str | None, name: str, of: str):
    head = ArchiveHead(subject, AT, "1.2.3")

    assert head.name == name
    with tarfile.open(fileobj=io.BytesIO(written(head))) as archive:
        readme = archive.extractfile(f"{name}/README.txt")
        assert readme is not None
        assert readme.read().decode().startswith(f"Support archive of {of}")


def test_known_secrets_are_hidden_in_every_file_and_keep_their_length():
    files = read(written(HEAD, SupportFile("a", lambda: b"\0x topsecret short"), faults=["topsecret"]))

    assert files["a"] == b"\0x ********* short"
    assert files["errors.txt"] == b"*********\n"


def test_a_file_that_cannot_be_read_or_is_too_large_is_named_and_the_others_are_kept(monkeypatch: pytest.MonkeyPatch):
    def fail() -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(support_archive, "MOST_FILE_BYTES", 5)
    monkeypatch.setattr(support_archive, "MOST_BYTES", 8)

    files = read(
        written(HEAD, SupportFile("a", fail), text_file("b.txt", "123456"), text_file("c", "1234"), faults=["f"])
    )

    assert {name: text for name, text in files.items() if name != "README.txt"} == {
        "b.txt": b"12345",
        "c": b"123",
        "errors.txt": (
            b"f\na: is missing: cannot read it: Permission denied\n"
            b"b.txt: is cut: 5 of its 6 bytes are kept\nc: is cut: 3 of its 4 bytes are kept\n"
        ),
    }
    assert b"Parts are missing or cut: see errors.txt." in files["README.txt"]

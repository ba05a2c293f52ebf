"""An OSTree archive on disk: its ref, the commit that the ref names, the objects that it reaches, and the summary.

Reads files, so call the readers in a thread: a walk takes about two seconds for 50,000 objects. Never writes, and does
not verify: the import verifies the checksums, as does libostree on the machine.
Formats: libostree's ostree-core.c, ostree-repo.c.
"""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from netboot.content.library.record import Record
from netboot.content.ostree.gvariant import array_elements, tuple_ends
from netboot.content.ostree.object_table import is_as_imported
from netboot.errors import ContentError, raise_without_descriptor
from netboot.model.release import EntryKind, Release

PREFERRED_REF: Final = "ock"
HEADS: Final = "refs/heads"
SUMMARY: Final = "summary"
SIGNATURE: Final = "summary.sig"
PULLED_FILES: Final = ("config", SUMMARY, SIGNATURE)  # what a pull requests beside objects
PULLED_DIRECTORIES: Final = ("refs", "deltas", "delta-indexes")
_LARGEST_SUMMARY: Final = 64 << 20
_CHECKSUM: Final = re.compile(r"[0-9a-f]{64}")
_ARCHIVE_MODES: Final = ("archive-z2", "archive")
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64", "x86_64": "x86_64", "aarch64": "aarch64"}  # OCI's first
_DIGEST_BYTES: Final = 32
_REF_BYTES: Final = 100  # more than a ref contains


def read_ref(root: Path, name: str) -> tuple[str, str]:
    """Read the ref of the archive at `root` and the commit that it names; raise ContentError."""
    _check_is_archive(root, name)
    heads = root / HEADS
    refs = sorted(str(path.relative_to(heads)) for path in heads.rglob("*") if path.is_file())
    if not refs:
        raise ContentError(f"release {name} has no ref below {heads}; copy refs/heads/{PREFERRED_REF} too")
    if len(refs) > 1 and PREFERRED_REF not in refs:
        raise ContentError(
            f"release {name} has the refs {', '.join(refs)} and none is {PREFERRED_REF}; "
            f"ostree refs --repo={root} --create={PREFERRED_REF} COMMIT"
        )
    ref = PREFERRED_REF if PREFERRED_REF in refs else refs[0]
    return ref, named_commit(heads / ref, name)


def commit_named(directory: Path, name: str) -> str | None:
    """Read the commit that a release below `directory` names now; None if it cannot be read."""
    try:
        return read_ref(EntryKind.RELEASE.path(directory, name), name)[1]
    except (ContentError, OSError):
        return None


def release_architecture(directory: Path, name: str) -> str | None:
    """Return `x86_64` or `aarch64` as the record of the import has it; None for a release that was copied in."""
    record = Record.read(EntryKind.RELEASE.path(directory, name))
    return _ARCHITECTURES.get(record.architecture) if record else None


def ref_commits(root: Path, name: str) -> set[str]:
    """Read the commits that all refs name (heads, mirrors, remotes); raise ContentError for an invalid ref."""
    return {named_commit(path, name) for path in ref_files(root)}


def ref_files(root: Path) -> list[Path]:
    """List the files of all refs."""
    return [path for path in (root / "refs").rglob("*") if path.is_file()]


def read_release(directory: Path, name: str) -> Release:
    """Read a release; raise ContentError if it is not an archive, or lacks its commit or a dirtree.

    A release whose ref and objects are as its import verified them is not walked again.
    """
    root = EntryKind.RELEASE.path(directory, name)
    ref, commit = read_ref(root, name)
    record = Record.read(root)
    if (
        record is not None
        and record.pull_count
        and (record.ref, record.commit) == (ref, commit)
        and is_as_imported(root)
    ):
        return Release(name, ref, commit, record.pull_count)
    return Release(name, ref, commit, _object_count(root, commit))


def check_release(directory: Path, name: str) -> None:
    """Check that a release has its ref and the commit that it names; raise ContentError. Reads three small files."""
    root = EntryKind.RELEASE.path(directory, name)
    _read_children(root, bytes.fromhex(read_ref(root, name)[1]), "commit")


def children(kind: str, data: bytes) -> list[tuple[bytes, str]]:
    """Return digest and kind of each object that a commit or dirtree refers to; other kinds refer to none."""
    match kind:
        case "commit":
            return list(_root_of_commit(data))
        case "dirtree":
            return list(_members_of_dirtree(data))
        case _:
            return []


def _check_is_archive(root: Path, name: str) -> None:
    if not root.is_dir():
        raise ContentError(
            f"cannot find release {name}: {root} is not a directory; netboot content import-archive FILE --name {name}"
        )
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read_string((root / "config").read_text())
        mode = config.get("core", "mode", fallback="bare")
    except (OSError, UnicodeError, configparser.Error) as error:
        raise_without_descriptor(error)
        raise ContentError(
            f"cannot read release {name}: {root / 'config'}: {str(error).splitlines()[0]}; "
            "copy the whole OSTree archive, with config, refs and objects"
        ) from error
    if mode not in _ARCHIVE_MODES:
        raise ContentError(
            f"release {name} is an OSTree repository in mode {mode}, which cannot be served over HTTP; "
            f"ostree init --repo=NEW --mode=archive && ostree pull-local --repo=NEW {root}, then replace it by NEW"
        )


def named_commit(ref: Path, name: str) -> str:
    """Read the commit that the file of a ref names; raise ContentError."""
    try:
        with ref.open("rb") as file:
            commit = file.read(_REF_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise_without_descriptor(error)
        raise ContentError(f"release {name}: {ref} cannot be read: {error.strerror}") from error
    if not _CHECKSUM.fullmatch(commit):
        raise ContentError(f"release {name}: {ref} contains no commit's checksum; copy the archive again")
    return commit


def _object_count(root: Path, commit: str) -> int:
    """Count the objects that the commit reaches."""
    waiting = [(bytes.fromhex(commit), "commit")]
    reached = set(waiting)
    while waiting:
        digest, kind = waiting.pop()
        below = set(_read_children(root, digest, kind)) - reached
        reached |= below
        waiting += [child for child in below if child[1] == "dirtree"]
    return len(reached)


def _read_children(root: Path, digest: bytes, kind: str) -> list[tuple[bytes, str]]:
    """Read what a commit or dirtree refers to; raise ContentError, which names it."""
    checksum = digest.hex()
    path = root / "objects" / checksum[:2] / f"{checksum[2:]}.{kind}"
    name = path.relative_to(root)
    try:
        return children(kind, path.read_bytes())
    except OSError as error:
        raise_without_descriptor(error)
        raise ContentError(
            f"release {root.name} lacks {name} ({error.strerror}); copy the archive again whole"
        ) from error
    except ContentError as error:
        raise ContentError(f"release {root.name}: {name} is damaged: {error}; copy the archive again") from error


def _root_of_commit(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Read the root dirtree and dirmeta of a commit `(a{sv}aya(say)sstayay)`."""
    end_of_metadata, end_of_parent, *_, end_of_body, end_of_tree, end = tuple_ends(data, 6)
    if end_of_parent > end_of_metadata:  # the first commit has none
        checked_digest(data[end_of_metadata:end_of_parent])
    start_of_tree = (end_of_body + 7) // 8 * 8 + 8  # the timestamp between them is aligned to 8
    yield checked_digest(data[start_of_tree:end_of_tree]), "dirtree"
    yield checked_digest(data[end_of_tree:end]), "dirmeta"


def _members_of_dirtree(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Read a dirtree `(a(say)a(sayay))`: its files, then dirtree and dirmeta of each directory."""
    end_of_files, end_of_directories = tuple_ends(data, 1)
    for element in array_elements(data[:end_of_files]):
        end_of_name, end = tuple_ends(element, 1)
        _check_name(element[:end_of_name])
        yield checked_digest(element[end_of_name:end]), "filez"
    for element in array_elements(data[end_of_files:end_of_directories]):
        end_of_name, end_of_tree, end = tuple_ends(element, 2)
        _check_name(element[:end_of_name])
        yield checked_digest(element[end_of_name:end_of_tree]), "dirtree"
        yield checked_digest(element[end_of_tree:end]), "dirmeta"


def _check_name(text: bytes) -> None:
    """Raise ContentError for a name that libostree refuses in a directory: it leads elsewhere, or is not UTF-8."""
    name = text.removesuffix(b"\0")
    try:
        name.decode()
    except UnicodeDecodeError:
        raise ContentError(f"the name {name!r} is not UTF-8") from None
    if name in (b".", b"..") or b"/" in name:
        raise ContentError(f"the name {name!r} leads elsewhere")


def checked_digest(data: bytes) -> bytes:
    """Return `data`; raise ContentError if it is not as long as a checksum."""
    if len(data) != _DIGEST_BYTES:
        raise ContentError(f"a checksum has {len(data)} bytes instead of {_DIGEST_BYTES}")
    return data


def summary_refs(data: bytes) -> dict[str, str]:
    """Read which commit a summary `(a(s(taya{sv}))a{sv})` names for each ref; raise ContentError if it is none."""
    refs = {}
    for element in array_elements(data[: tuple_ends(data, 1)[0]], alignment=8):
        end_of_name, end = tuple_ends(element, 1)
        value = element[-(-end_of_name // 8) * 8 : end]
        commit = value[8 : tuple_ends(value, 1)[0]]  # behind the commit's size, before its metadata
        refs[element[:end_of_name].removesuffix(b"\0").decode("utf-8", "replace")] = checked_digest(commit).hex()
    return refs


def summary_fault(root: Path) -> str | None:
    """Return how the summary of the archive at `root` differs from its ref; None if it agrees, or there is none.

    libostree installs the commit that the summary names: with another one than that of the ref, a pull gets an old
    release or requests objects that are gone, so such a summary must not be served.
    """
    try:
        with (root / SUMMARY).open("rb") as file:
            data = file.read(_LARGEST_SUMMARY + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise_without_descriptor(error)
        return f"it cannot be read: {error.strerror}"
    try:
        ref, commit = read_ref(root, root.name)
        named = summary_refs(data).get(ref)
    except ContentError as error:
        raise_without_descriptor(error)
        return f"it cannot be compared with the refs: {error}"
    if named == commit:
        return None
    return f"it names {f'commit {named}' if named else 'no commit'} for {ref}, and refs/heads/{ref} is {commit}"

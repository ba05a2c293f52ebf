"""The index of one boot medium or one release: its files on disk, listed whole in memory.

Reads directories, so call the readers off the loop; `get` reads memory only. Never follows a link to a directory
below a tree, nor a link to a file outside the content directory: both are listed in `problems`.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from netboot.content.media.boot_media import ALIASES, KIND_OF_MEMBER, TREEINFO, made_treeinfo
from netboot.content.ostree.object_name import object_key
from netboot.content.ostree.summary import summary_fault
from netboot.content.serving.object_table import ObjectTable
from netboot.content.serving.served_file import (
    IMMUTABLE,
    NO_CACHE,
    OCTETS,
    ServedFile,
    content_type_of,
    served_file,
    stat_etag,
)
from netboot.content.serving.url_path import VISIBLE_DOT_FILES
from netboot.model.release import ContentKind

MOST_FILES: Final = 100_000  # of a medium, or of a release beside its objects
MOST_LATE_FILES: Final = 4_096  # found one by one after the tree was read
_DEEPEST: Final = 16
# The files of a repository that a pull requests; locks, tmp, state and all others are not served.
_SUMMARIES: Final = ("summary", "summary.sig")
_REPOSITORY_FILES: Final = ("config", *_SUMMARIES)
_REPOSITORY_DIRECTORIES: Final = ("refs", "deltas", "delta-indexes")
_COMMITMETA: Final = ".commitmeta"  # detached signatures: named by the commit, yet may change


@dataclass(slots=True)
class Tree:
    """A named directory below the content directory and its files by member name."""

    name: str
    root: Path  # free of links
    content_root: Path  # free of links; no link may lead out of it
    files: dict[str, ServedFile] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    late_files: int = 0

    def get(self, names: tuple[str, ...]) -> ServedFile | None:
        """Find a member in memory."""
        return self.files.get("/".join(names))

    def read_again(self, names: tuple[str, ...]) -> ServedFile | None:
        """Read one member from disk and update its entry. Blocks."""
        member = "/".join(names)
        known = self.files.get(member)
        if known is not None and known.body is not None:
            return known
        found = self._from_disk(member)
        if found is None:
            self.files.pop(member, None)
        elif member in self.files or self.late_files < MOST_LATE_FILES:
            self.late_files += member not in self.files
            self.files[member] = found
        return found

    def _from_disk(self, member: str) -> ServedFile | None:
        path = self.path_of(member)
        if path is None:
            return None
        try:
            status = path.lstat()
        except OSError:
            return None
        return self.describe(member, path, status) if stat.S_ISREG(status.st_mode) else None

    def path_of(self, member: str) -> Path | None:
        """Resolve a member; None if a parent directory is a link, or the member is a link that leads out."""
        path = self.root / member
        try:
            real = path.resolve()
            inside = path.parent.resolve() == path.parent and real.is_relative_to(self.content_root)
        except (OSError, RuntimeError):  # a link loop
            return None
        return real if inside else None

    def describe(self, member: str, path: Path, status: os.stat_result) -> ServedFile:
        """Return the served file of one member, with its kind in the timeline of a boot."""
        kind = KIND_OF_MEMBER.get(member, ContentKind.OTHER)
        return served_file(str(path), status, kind=kind, owner=self.name, member=member)

    def add_all(self, below: str = "") -> None:
        """Read every file below one directory of the tree."""
        for member, path, status in self._walk(below, 0):
            if len(self.files) >= MOST_FILES:
                self.problems.append(f"{self.root} has more than {MOST_FILES} files; the rest is not served")
                return
            self.files[member] = self.describe(member, path, status)

    def _walk(self, below: str, depth: int) -> Iterator[tuple[str, Path, os.stat_result]]:
        for entry in sorted_entries(self.root / below):
            member = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith(".") and entry.name not in VISIBLE_DOT_FILES:
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST:
                    yield from self._walk(member, depth + 1)
                continue
            path = self.path_of(member) if entry.is_symlink() else Path(entry.path)
            try:
                status = path.lstat() if path else None
            except OSError:
                status = None  # a dangling link, or a file that was just removed
            if path and status and stat.S_ISREG(status.st_mode):
                yield member, path, status
            else:
                self.problems.append(
                    f"{entry.path} is not served: it is not a regular file below {self.content_root}; copy it"
                )


@dataclass(slots=True)
class MediumTree(Tree):
    """A boot medium."""

    def _from_disk(self, member: str) -> ServedFile | None:
        found = Tree._from_disk(self, member)
        if found is None and member in ALIASES:
            found = Tree._from_disk(self, ALIASES[member])
        return found and replace(found, member=member)


@dataclass(slots=True)
class ReleaseTree(Tree):
    """An OSTree archive: its objects in a table, the other files by name."""

    objects: ObjectTable = field(default_factory=ObjectTable)
    _prefix: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._prefix = str(self.root)

    def get(self, names: tuple[str, ...]) -> ServedFile | None:
        """Find an object or another file of the repository in memory; never a summary: its ref may have moved."""
        if names[0] in _SUMMARIES:
            return None
        late = self.files.get("/".join(names))
        if late is None and names[0] == "objects" and len(names) == 3:
            return self._object(names[1], names[2])
        return late

    def _object(self, directory: str, name: str) -> ServedFile | None:
        key = object_key(directory, name)
        found = self.objects.find(key) if key else None
        if found is None:
            return None
        # Metadata is stored as it is hashed, so its name is its checksum. A filez contains a deflated stream: its name
        # is not the checksum of the stored bytes.
        if name.endswith(".filez"):
            etag = stat_etag(found.size_bytes, found.mtime_ns, found.inode)
        else:
            etag = f'"{directory}{name.partition(".")[0]}"'
        member = f"objects/{directory}/{name}"
        path = f"{self._prefix}/{member}"
        return ServedFile(path, found.size_bytes, etag, OCTETS, IMMUTABLE, ContentKind.OSTREE_OBJECT, self.name, member)

    def _from_disk(self, member: str) -> ServedFile | None:
        top = member.partition("/")[0]
        if top != "objects" and top not in _REPOSITORY_DIRECTORIES and member not in _REPOSITORY_FILES:
            return None
        if member in _SUMMARIES and summary_fault(self.root) is not None:
            return None
        return Tree._from_disk(self, member)

    def describe(self, member: str, path: Path, status: os.stat_result) -> ServedFile:
        """Return the served file of one member with the cache rule of its kind."""
        parts = member.split("/")
        is_object = len(parts) == 3 and parts[0] == "objects" and object_key(parts[1], parts[2]) is not None
        return served_file(
            str(path),
            status,
            kind=ContentKind.OSTREE_OBJECT if is_object or parts[0] == "deltas" else ContentKind.OTHER,
            owner=self.name,
            member=member,
            cache_control=IMMUTABLE if is_object or parts[0] == "deltas" else NO_CACHE,
        )

    def add_objects(self) -> None:
        """Read the table of objects, and the detached metadata beside them."""
        self.objects = ObjectTable(self._objects_on_disk())

    def _objects_on_disk(self) -> Iterator[tuple[bytes, int, int, int]]:
        for directory in sorted_entries(self.root / "objects"):
            if len(directory.name) != 2 or not directory.is_dir(follow_symlinks=False):
                continue
            for entry in sorted_entries(Path(directory.path)):
                key = object_key(directory.name, entry.name)
                if key is None and not entry.name.endswith(_COMMITMETA):
                    continue
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    self.problems.append(
                        f"{entry.path} is not served: it is not a regular file; copy the release again"
                    )
                elif key is not None:
                    yield key, status.st_size, status.st_mtime_ns, status.st_ino
                else:
                    member = f"objects/{directory.name}/{entry.name}"
                    self.files[member] = self.describe(member, Path(entry.path), status)


def sorted_entries(directory: Path) -> list[os.DirEntry[str]]:
    """List a directory sorted by name; empty if it is missing or cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _root_of(content: Path, kind: str, name: str) -> tuple[Path, Path] | None:
    """Resolve a tree's directory: the name may be a link to a directory beside it (`stable`)."""
    content_root = content.resolve()
    root = (content_root / kind / name).resolve()
    return (root, content_root) if root.is_relative_to(content_root) and root.is_dir() else None


def read_medium_tree(content: Path, name: str) -> MediumTree | None:
    """Read a boot medium; None if there is no such directory. Blocks."""
    place = _root_of(content, "media", name)
    if place is None:
        return None
    tree = MediumTree(name, *place)
    tree.add_all()
    for alias, stored in ALIASES.items():
        if alias not in tree.files and stored in tree.files:
            tree.files[alias] = replace(tree.files[stored], member=alias)
    if TREEINFO not in tree.files and (body := made_treeinfo(tree.root)):
        tree.files[TREEINFO] = made_file(name, TREEINFO, body)
    return tree


def read_release_tree(content: Path, name: str) -> ReleaseTree | None:
    """Read a release; None if there is no such directory. Blocks: about a second for 50,000 objects."""
    place = _root_of(content, "ostree", name)
    if place is None:
        return None
    tree = ReleaseTree(name, *place)
    for member in _REPOSITORY_FILES:
        tree.read_again((member,))
    if (fault := summary_fault(tree.root)) is not None:
        tree.problems.append(f"{tree.root / 'summary'} is not served: {fault}; ostree summary -u --repo={tree.root}")
    for directory in _REPOSITORY_DIRECTORIES:
        tree.add_all(directory)
    tree.add_objects()
    tree.late_files = 0
    return tree


def made_file(owner: str, member: str, body: bytes) -> ServedFile:
    """Return the served file of generated bytes."""
    return ServedFile(
        path="",
        size_bytes=len(body),
        etag=f'"{hashlib.sha256(body).hexdigest()}"',
        content_type=content_type_of(member),
        cache_control=NO_CACHE,
        kind=KIND_OF_MEMBER.get(member, ContentKind.OTHER),
        owner=owner,
        member=member,
        body=body,
    )

"""The files of one boot medium or one release, listed whole in memory.

`read` and `read_again` read the disk, so call them off the loop; `get` reads memory only. Never follows a link to a
directory below a tree, nor a link to a file outside the content directory: both are listed in `problems`.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Final, Self

from netboot.content.library.disk import file_status
from netboot.content.media.boot_media import ALIASES, KIND_OF_MEMBER, TREEINFO, made_treeinfo
from netboot.content.ostree.object_table import ObjectTable, object_key
from netboot.content.ostree.repository import PULLED_DIRECTORIES, PULLED_FILES, SIGNATURE, SUMMARY, summary_fault
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
from netboot.errors import raise_without_descriptor
from netboot.model.release import ContentKind, EntryKind

MOST_FILES: Final = 100_000  # of a medium, or of a release beside its objects
MOST_LATE_FILES: Final = 4_096  # found one by one after the tree was read
_DEEPEST: Final = 16


@dataclass(slots=True)
class Tree:
    """A named directory below the content directory and its files by member name."""

    kind: ClassVar[EntryKind]

    name: str
    root: Path  # free of links
    content_root: Path  # free of links; no link may lead out of it
    files: dict[str, ServedFile] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    late_files: int = 0

    @classmethod
    def read(cls, content: Path, name: str) -> Self | None:
        """Read the directory, or the one that the link `name` leads to; None if there is none below `content`."""
        content_root = Path(os.path.realpath(content))  # resolve() raises for a link loop
        root = Path(os.path.realpath(cls.kind.path(content_root, name)))
        if not root.is_relative_to(content_root) or not root.is_dir():
            return None
        tree = cls(name, root, content_root)
        tree.read_files()
        return tree

    def read_files(self) -> None:
        """Read every file that is served."""
        raise NotImplementedError

    def get(self, names: tuple[str, ...]) -> ServedFile | None:
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
        status = path and file_status(path)
        return self.describe(member, path, status) if path and status else None

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
            status = path and file_status(path)
            if path and status:
                yield member, path, status
            else:
                self.problems.append(
                    f"{entry.path} is not served: it is not a regular file below {self.content_root}; copy it"
                )


@dataclass(slots=True)
class MediumTree(Tree):
    """A boot medium."""

    kind: ClassVar[EntryKind] = EntryKind.MEDIUM

    def read_files(self) -> None:
        """Read every file; add the other names of kernel and initrd, and a generated `.treeinfo` if there is none."""
        self.add_all()
        for alias, stored in ALIASES.items():
            if alias not in self.files and stored in self.files:
                self.files[alias] = replace(self.files[stored], member=alias)
        if TREEINFO not in self.files and (body := made_treeinfo(self.root)):
            self.files[TREEINFO] = ServedFile(
                path="",
                size_bytes=len(body),
                etag=f'"{hashlib.sha256(body).hexdigest()}"',
                content_type=content_type_of(TREEINFO),
                cache_control=NO_CACHE,
                kind=ContentKind.TREEINFO,
                owner=self.name,
                member=TREEINFO,
                body=body,
            )

    def _from_disk(self, member: str) -> ServedFile | None:
        found = Tree._from_disk(self, member)
        if found is None and member in ALIASES:
            found = Tree._from_disk(self, ALIASES[member])
        return found and replace(found, member=member)


@dataclass(slots=True)
class ReleaseTree(Tree):
    """An OSTree archive: its objects in a table, the other files by name."""

    kind: ClassVar[EntryKind] = EntryKind.RELEASE

    objects: ObjectTable = field(default_factory=ObjectTable)

    def read_files(self) -> None:
        """Read the objects and what else a pull requests; detached signatures are found at their first request."""
        for member in PULLED_FILES:
            self.read_again((member,))
        if (fault := summary_fault(self.root)) is not None:
            self.problems.append(f"{self.root / SUMMARY} is not served: {fault}; ostree summary -u --repo={self.root}")
        for directory in PULLED_DIRECTORIES:
            self.add_all(directory)
        self.objects = ObjectTable.read(self.root, self.problems)
        self.late_files = 0

    def get(self, names: tuple[str, ...]) -> ServedFile | None:
        """Find an object or another file of the repository in memory; never a summary: its ref may have moved."""
        if names[0] in (SUMMARY, SIGNATURE):
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
        path = f"{self.root}/{member}"
        return ServedFile(path, found.size_bytes, etag, OCTETS, IMMUTABLE, ContentKind.OSTREE_OBJECT, self.name, member)

    def _from_disk(self, member: str) -> ServedFile | None:
        top = member.partition("/")[0]
        if top != "objects" and top not in PULLED_DIRECTORIES and member not in PULLED_FILES:
            return None
        if member in (SUMMARY, SIGNATURE) and summary_fault(self.root) is not None:
            return None
        return Tree._from_disk(self, member)

    def describe(self, member: str, path: Path, status: os.stat_result) -> ServedFile:
        """Return the served file of one member with the cache rule of its kind."""
        parts = member.split("/")
        is_object = len(parts) == 3 and parts[0] == "objects" and object_key(parts[1], parts[2]) is not None
        kind, rule = ContentKind.OTHER, NO_CACHE
        if is_object or parts[0] == "deltas":
            kind, rule = ContentKind.OSTREE_OBJECT, IMMUTABLE
        return served_file(str(path), status, kind=kind, owner=self.name, member=member, cache_control=rule)


def sorted_entries(directory: Path) -> list[os.DirEntry[str]]:
    """List a directory sorted by name; empty if it is missing or cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise_without_descriptor(error)
        return []


TREES: Final[Mapping[EntryKind, type[Tree]]] = {each.kind: each for each in (MediumTree, ReleaseTree)}

"""Writes the files of a release to its staging directory, each once, and links objects that another release contains.

Writes only files that a pull requests (config, refs, objects, deltas, summary) and the markers of incomplete commits.
Never follows or creates a symbolic link; never writes to an existing file (another release may link it); never assumes
that equal names are equal bytes: a link is created only to a file that was compared, and that every user may read.
"""

import filecmp
import os
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Final

from netboot.content.library.disk import file_status
from netboot.content.ostree.object_table import object_key
from netboot.content.ostree.repository import PULLED_DIRECTORIES, PULLED_FILES
from netboot.content.tar_stream import ByteStream
from netboot.errors import ContentError

_SMALL_BYTES: Final = 1 << 20  # compared and written in one piece
_MODE: Final = 0o644
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EMPTY_DIRECTORIES: Final = ("objects", "refs/heads", "refs/mirrors", "refs/remotes", "extensions", "state", "tmp")


class ReleaseWriter:
    """The staging directory of one release."""

    def __init__(
        self,
        root: Path,
        donors: Sequence[Path],
        *,
        check_reserve: Callable[[], None],
        on_complete: Callable[[str], None],
    ) -> None:
        """Write below `root`; `donors` are releases whose equal objects are linked.

        `check_reserve` is called before each write, and raises if the disk is almost full. `on_complete` is called with
        each directory below `objects/` that may be checked, also repeatedly; `finish` calls it for the rest.
        """
        self._root = root
        self._donors = [os.fspath(donor) for donor in donors]
        self._check_reserve = check_reserve
        self._on_complete = on_complete
        self._made: set[str] = set()
        self._complete: set[str] = set()
        self._objects_of = ""  # the directory that is being filled
        self._is_sorted = True
        self.linked_bytes = 0
        self.object_bytes = 0
        self.file_count = 0
        for name in _EMPTY_DIRECTORIES:
            (root / name).mkdir(parents=True, exist_ok=True)

    def put(self, member: str, size_bytes: int, stream: ByteStream) -> bool:
        """Write one file of the repository; return False without reading the stream if no pull requests it."""
        if not _is_wanted(member):
            return False
        directory, _, _ = member.rpartition("/")
        is_object = member.startswith("objects/")
        if is_object:
            self._begin(member[8:10])
        if directory and directory not in self._made:
            (self._root / directory).mkdir(parents=True, exist_ok=True)
            self._made.add(directory)
        path = f"{self._root}/{member}"
        try:
            self._write(path, member if is_object else "", size_bytes, stream)
        except FileExistsError:
            raise ContentError(f"{member} exists twice in one layer") from None
        self.file_count += 1
        self.object_bytes += size_bytes if is_object else 0
        return True

    def link(self, member: str, target: str) -> None:
        """Create a member that is a hard link to another of the same repository."""
        if not _is_wanted(member):
            return
        source, path = self._root / target, self._root / member
        if not _is_wanted(target) or not source.is_file():
            raise ContentError(f"{member} is a link to {target!r}, which does not exist")
        if member.startswith("objects/"):
            self._begin(member[8:10])
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)

    def drop_file(self, member: str) -> None:
        """Remove the file of a lower layer before a file of this name is written."""
        path = self._root / member
        if _is_wanted(member) and os.path.lexists(path):
            path.unlink()

    def drop(self, member: str, *, keep: Set[str]) -> None:
        """Remove a file, or all files below a directory, except members in `keep`; all files if `member` is empty."""
        self._is_sorted = False
        self._complete.clear()
        top = self._root / member
        if not top.is_dir():
            if member not in keep:
                top.unlink(missing_ok=True)
            return
        for parent, _, names in os.walk(top):
            for name in names:
                path = Path(parent, name)
                if str(path.relative_to(self._root)) not in keep:
                    path.unlink()

    def finish(self) -> None:
        """Call `on_complete` for the remaining directories."""
        for path in sorted((self._root / "objects").iterdir()):
            if path.name not in self._complete:
                self._on_complete(path.name)

    def _begin(self, directory: str) -> None:
        before = self._objects_of
        if directory == before:
            return
        self._objects_of = directory
        self._complete.discard(directory)
        if directory < before:
            self._is_sorted = False  # then a directory may grow repeatedly: `finish` reports all
        elif self._is_sorted and before:
            self._complete.add(before)
            self._on_complete(before)

    def _write(self, path: str, object_member: str, size_bytes: int, stream: ByteStream) -> None:
        if size_bytes <= _SMALL_BYTES:
            data = stream.take(size_bytes)
            if not self._link_equal(object_member, size_bytes, path, lambda other: Path(other).read_bytes() == data):
                self._write_new(path, [data])
        else:
            self._write_new(path, stream.pieces(size_bytes))
            link = f"{path}.link"
            if self._link_equal(object_member, size_bytes, link, lambda other: filecmp.cmp(other, path, shallow=False)):
                Path(link).replace(path)

    def _write_new(self, path: str, pieces: Iterable[bytes]) -> None:
        descriptor = os.open(path, _NEW, _MODE)
        try:
            for piece in pieces:
                self._check_reserve()
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
            os.fchmod(descriptor, _MODE)
        finally:
            os.close(descriptor)

    def _link_equal(self, member: str, size_bytes: int, to: str, is_equal: Callable[[str], bool]) -> bool:
        """Link an equal object of a donor as `to`; False if there is none, or `member` is empty: no object."""
        for donor in self._donors if member else ():
            existing = f"{donor}/{member}"
            with suppress(OSError):  # unreadable, too many links, or linking is not permitted
                if _size_of(existing) == size_bytes and is_equal(existing):
                    os.link(existing, to)
                    self.linked_bytes += size_bytes
                    return True
        return False


def _is_wanted(member: str) -> bool:
    names = member.split("/")
    if any(name in ("", ".", "..") or not name.isprintable() for name in names):
        return False
    if names[0] == "objects":
        return len(names) == 3 and (object_key(names[1], names[2]) is not None or names[2].endswith(".commitmeta"))
    if names[0] == "state":
        return len(names) == 2 and names[1].endswith(".commitpartial")
    return member in PULLED_FILES or (len(names) > 1 and names[0] in PULLED_DIRECTORIES)


def _size_of(path: str) -> int:
    """Return the size of a regular file that every user may read; -1 for anything else."""
    status = file_status(path)
    return status.st_size if status is not None and status.st_mode & _MODE == _MODE else -1

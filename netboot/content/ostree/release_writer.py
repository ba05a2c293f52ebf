"""Writes the files of a release into its staging directory, each once, and links what another release has already.

Takes only what a pull asks for (config, refs, objects, deltas, summary), and which commits are there in part. Never
follows or makes a symbolic link, never writes into a file that is there (it may be another release's too), never
believes that equal names are equal bytes: a link is made only to a file that was compared, and that everybody may read.
"""

import os
import stat
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Final

from netboot.content.ostree.object_name import object_key
from netboot.content.tar_stream import ByteStream
from netboot.errors import ContentError

_FILES: Final = frozenset({"config", "summary", "summary.sig"})
_DIRECTORIES: Final = frozenset({"refs", "deltas", "delta-indexes"})
_SMALL_BYTES: Final = 1 << 20  # compared and written in one piece
_MODE: Final = 0o644
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EMPTY_DIRECTORIES: Final = ("objects", "refs/heads", "refs/mirrors", "refs/remotes", "extensions", "state", "tmp")


class ReleaseWriter:
    """One release on its way into the library."""

    def __init__(
        self,
        root: Path,
        donors: Sequence[Path],
        *,
        keep_room: Callable[[], None],
        on_complete: Callable[[str], None],
    ) -> None:
        """Write below `root`; `donors` are releases whose equal objects are linked.

        `keep_room` is asked before each piece that is written, and raises where there is no more. `on_complete` is told
        early, and again if need be, which directory below `objects/` may be checked; `finish` tells the rest.
        """
        self._root = root
        self._donors = [os.fspath(donor) for donor in donors]
        self._keep_room = keep_room
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
        """Write one file of the repository; False, and nothing taken from the stream, where nobody would ask for it."""
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
            raise ContentError(f"{member} is there twice in one layer") from None
        self.file_count += 1
        self.object_bytes += size_bytes if is_object else 0
        return True

    def link(self, member: str, target: str) -> None:
        """Make a member that is a hard link to another of the same repository."""
        if not _is_wanted(member):
            return
        source, path = self._root / target, self._root / member
        if not _is_wanted(target) or not source.is_file():
            raise ContentError(f"{member} is a link to {target!r}, which is not there")
        if member.startswith("objects/"):
            self._begin(member[8:10])
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)

    def drop_file(self, member: str) -> None:
        """Remove what a layer below has under the name of a file that comes now."""
        path = self._root / member
        if _is_wanted(member) and os.path.lexists(path):
            path.unlink()

    def drop(self, member: str, *, keep: Set[str]) -> None:
        """Remove a file, or all below a directory, but for members in `keep`; everything where `member` is empty."""
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
        """Tell which directories have not been told yet."""
        objects = self._root / "objects"
        for name in sorted(os.listdir(objects)) if objects.is_dir() else ():  # noqa: PTH208
            if name not in self._complete:
                self._on_complete(name)

    def _begin(self, directory: str) -> None:
        before = self._objects_of
        if directory == before:
            return
        self._objects_of = directory
        self._complete.discard(directory)
        if directory < before:
            self._is_sorted = False  # then a directory may grow again and again: all are told at the end
        elif self._is_sorted and before:
            self._complete.add(before)
            self._on_complete(before)

    def _write(self, path: str, object_member: str, size_bytes: int, stream: ByteStream) -> None:
        if size_bytes <= _SMALL_BYTES:
            data = stream.take(size_bytes)
            if object_member and self._link_equal(path, object_member, data):
                return
            self._write_new(path, [data])
        else:
            self._write_new(path, stream.pieces(size_bytes))
            if object_member:
                self._replace_by_equal(path, object_member, size_bytes)

    def _write_new(self, path: str, pieces: Iterable[bytes]) -> None:
        descriptor = os.open(path, _NEW, _MODE)
        try:
            for piece in pieces:
                self._keep_room()
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
            os.fchmod(descriptor, _MODE)
        finally:
            os.close(descriptor)

    def _link_equal(self, path: str, member: str, data: bytes) -> bool:
        for donor in self._donors:
            there = f"{donor}/{member}"
            if _size_of(there) == len(data) and _content_of(there) == data:
                with suppress(OSError):  # too many links, or not ours to link
                    os.link(there, path)
                    self.linked_bytes += len(data)
                    return True
        return False

    def _replace_by_equal(self, path: str, member: str, size_bytes: int) -> None:
        for donor in self._donors:
            there = f"{donor}/{member}"
            if _size_of(there) == size_bytes and _are_equal(there, path):
                with suppress(OSError):
                    os.link(there, f"{path}.link")
                    Path(f"{path}.link").replace(path)
                    self.linked_bytes += size_bytes
                    return


def _is_wanted(member: str) -> bool:
    names = member.split("/")
    if any(name in ("", ".", "..") or not name.isprintable() for name in names):
        return False
    if names[0] == "objects":
        return len(names) == 3 and (object_key(names[1], names[2]) is not None or names[2].endswith(".commitmeta"))
    if names[0] == "state":
        return len(names) == 2 and names[1].endswith(".commitpartial")
    return member in _FILES or (len(names) > 1 and names[0] in _DIRECTORIES)


def _size_of(path: str) -> int:
    """Give the size of a file that can be another release's too, as it is; -1 where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) and status.st_mode & _MODE == _MODE else -1


def _content_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _are_equal(one: str, other: str) -> bool:
    try:
        with Path(one).open("rb") as left, Path(other).open("rb") as right:
            while True:
                a, b = left.read(_SMALL_BYTES), right.read(_SMALL_BYTES)
                if a != b:
                    return False
                if not a:
                    return True
    except OSError:
        return False

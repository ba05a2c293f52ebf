"""The content directory as it is changed: one writer at a time, staged first, put in place by one rename.

    media/NAME/       ostree/NAME/        what is served; a link (`stable`) is another name of the directory it leads to
    .staging/…        what is not whole yet, or is being removed; after a crash the next import goes on from it,
                      or `gc` removes it
    .lock             held by whoever changes something; the kernel lets go of it when he dies

Whatever is below `media` and `ostree` is whole and on disk: kill -9 at any moment leaves it as it was.
"""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from netboot.content.library.disk import cannot_write, megabytes, sync_directory, sync_file_system, told_as, tree_size
from netboot.content.library.record import Record
from netboot.errors import NO_RIGHT, ContentError

STAGING: Final = ".staging"
LOCK: Final = ".lock"
_REMOVED: Final = "removed"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DIRECTORY_MODE: Final = 0o755
_SPARE_BYTES: Final = 64 << 20  # a full disk stops the daemon's ledger too
_LAST_BYTES: Final = 16 << 20  # what unpacks to more than was foreseen ends here


class LibraryBusyError(ContentError):
    """Somebody else changes the library now."""


class Kind(StrEnum):
    """What is kept; the value is its directory."""

    MEDIUM = "media"
    RELEASE = "ostree"

    @property
    def word(self) -> str:
        """What people call it."""
        return "boot medium" if self is Kind.MEDIUM else "release"


@dataclass(frozen=True, slots=True)
class Entry:
    """A medium, a release, or another name of one."""

    kind: Kind
    name: str
    path: Path
    alias_of: str | None = None

    @property
    def record(self) -> Record | None:
        """What its import wrote down."""
        return Record.read(self.path)


def checked_name(name: str) -> str:
    """Return a name that is fit for a URL and a directory; raise ContentError."""
    if not _NAME.fullmatch(name):
        raise ContentError(
            f"{name!r} is no name; use letters, digits, dots, dashes, at most 63, a letter or digit first"
        )
    return name


class Library:
    """The content directory."""

    def __init__(self, directory: Path) -> None:
        """Look at `directory`, which may be missing yet."""
        self.directory = directory

    def entries(self) -> list[Entry]:
        """List media, releases and their other names, by kind and name; ContentError where they cannot be read."""
        return [entry for kind in Kind for entry in self._entries(kind)]

    def _entries(self, kind: Kind) -> Iterator[Entry]:
        parent = self.directory / kind
        try:
            names = sorted(entry.name for entry in os.scandir(parent) if entry.is_dir())
        except PermissionError as error:
            raise ContentError(f"cannot read {parent}: {error.strerror}; {NO_RIGHT}") from error
        except OSError:
            return
        for name in names:
            path = parent / name
            if not name.startswith("."):
                yield Entry(kind, name, path, alias_of=path.resolve().name if path.is_symlink() else None)

    def find(self, name: str) -> Entry:
        """Find a medium or release by name; raise ContentError where it is not there, or is both."""
        found = [entry for entry in self.entries() if entry.name == name]
        if not found:
            raise ContentError(f"there is no medium and no release {name} in {self.directory}; netboot content list")
        if len(found) > 1:
            raise ContentError(f"{name} is a medium and a release; rename one below {self.directory} by mv")
        return found[0]

    def get(self, kind: Kind, name: str) -> Entry | None:
        """Find one of a kind."""
        return next((entry for entry in self._entries(kind) if entry.name == name), None)

    def check_not_of(self, kind: Kind, name: str) -> None:
        """Raise ContentError where a medium, release or alias of this kind has the name: each name means one thing."""
        there = self.get(kind, name)
        if there is not None:
            what = f"another name of the {kind.word} {there.alias_of}" if there.alias_of else f"a {kind.word}"
            raise ContentError(f"{name} is {what} already; choose another name")

    @contextmanager
    def changing(self) -> Iterator["Staging"]:
        """Hold the lock, and a staging directory that is gone at the end; raise LibraryBusyError where another does."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        try:
            _take(lock, self.directory)
            parent = self.directory / STAGING
            with told_as(self.directory):
                parent.mkdir(exist_ok=True)
                own = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
            try:
                yield Staging(self, own)
            finally:
                shutil.rmtree(own, ignore_errors=True)
        finally:
            os.close(lock)

    def remains(self) -> list[Path]:
        """List what unfinished work left behind. Ask while `changing`: then nothing of it belongs to anyone."""
        try:
            return sorted((self.directory / STAGING).iterdir())
        except OSError:
            return []

    def aliases_of(self, entry: Entry) -> list[str]:
        """List the other names of a medium or release."""
        return [other.name for other in self._entries(entry.kind) if other.alias_of == entry.name]


@dataclass(frozen=True, slots=True)
class Staging:
    """The right to change a library, and a directory on its file system."""

    library: Library
    directory: Path

    def make(self, name: str) -> Path:
        """Make an empty directory to be published."""
        made = self.directory / name
        made.mkdir()
        return made

    def take_over(self) -> list[Path]:
        """Bring here what imports that were killed had staged, to go on from it; nothing of it is proved or whole."""
        taken: list[Path] = []
        for remains in self._others():
            with suppress(OSError):  # another user's: left for him
                for staged in sorted(remains.iterdir()) if _is_directory(remains) else ():
                    if _is_directory(staged) and staged.name != _REMOVED:
                        taken.append(staged.rename(self.directory / f"before-{len(taken)}"))
            _delete(remains)
        return taken

    def publish(self, made: Path, kind: Kind, name: str) -> None:
        """Put a whole directory in its place, after all of it is on disk."""
        self.library.check_not_of(Kind.MEDIUM if kind is Kind.RELEASE else Kind.RELEASE, name)
        parent = self.library.directory / kind
        with told_as(self.library.directory):
            if not parent.is_dir():
                parent.mkdir()
                parent.chmod(_DIRECTORY_MODE)
            place = parent / name
            if os.path.lexists(place) and not place.is_dir():
                raise ContentError(f"{place} is there and is no {kind.word}; remove it, and import again")
            _make_readable(made)
            sync_file_system(made)
            made.rename(place)
            sync_directory(parent)

    def remove(self, entry: Entry) -> None:
        """Take a medium, a release or another name out of the library at once, then delete its files."""
        with told_as(self.library.directory):
            if entry.alias_of is not None:
                entry.path.unlink()
            else:
                entry.path.rename(self.directory / _REMOVED)
            sync_directory(entry.path.parent)

    def promote(self, entry: Entry, alias: str) -> None:
        """Make `alias` another name of a medium or release, at once; what it named before stays."""
        target = entry.path.resolve()
        place = target.parent / checked_name(alias)
        if place.is_dir() and not place.is_symlink():
            raise ContentError(f"{alias} is a {entry.kind.word} itself, not another name of one; choose another alias")
        self.library.check_not_of(Kind.MEDIUM if entry.kind is Kind.RELEASE else Kind.RELEASE, alias)
        new = self.directory / "link"
        with told_as(self.library.directory):
            new.symlink_to(target.name)
            new.rename(place)
            sync_directory(target.parent)

    def collect(self) -> tuple[int, int]:
        """Delete what unfinished work left behind, as far as this user may; return how much and how many bytes."""
        sizes = {path: tree_size(path) for path in self._others()}
        deleted = [path for path in sizes if _delete(path)]
        return len(deleted), sum(sizes[path] for path in deleted)

    def _others(self) -> list[Path]:
        return [path for path in self.library.remains() if path != self.directory]

    def check_space(self, needed_bytes: int, what: str) -> None:
        """Raise ContentError where the file system has not this much room, and a reserve."""
        free = self._free_bytes()
        if free < needed_bytes + _SPARE_BYTES:
            raise ContentError(
                f"cannot import {what}: it needs {megabytes(needed_bytes + _SPARE_BYTES)} in {self.library.directory} "
                f"and {megabytes(free)} are free; netboot content gc, remove a release, or enlarge the file system"
            )

    def keep_room(self) -> None:
        """Raise OSError, as a full file system would, a little before it is full."""
        if self._free_bytes() < _LAST_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _free_bytes(self) -> int:
        status = os.statvfs(self.directory)
        return status.f_bavail * status.f_frsize


def _take(lock: int, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise LibraryBusyError(f"{directory} is being changed by process {holder}; wait until it has ended") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _delete(path: Path) -> bool:
    """Delete what unfinished work left, whatever it is, never what a link leads to; False where it is still there."""
    if _is_directory(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    return not os.path.lexists(path)


def _make_readable(directory: Path) -> None:
    """Let the daemon, another user, into every directory, whatever the umask was; files are written so."""
    for parent, _, _ in os.walk(directory):
        Path(parent).chmod(_DIRECTORY_MODE)

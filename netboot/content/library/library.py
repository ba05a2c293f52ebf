"""Changes to the content directory: one writer at a time, staged first, published by one rename.

    media/NAME/       ostree/NAME/        served; a link (`stable`) is an alias of the directory it leads to
    .staging/…        incomplete or being removed; after a crash the next import continues from it, or `gc` removes it
    .lock             held by the process that changes something; the kernel releases it when the process ends

Everything below `media` and `ostree` is whole and on disk: kill -9 at any moment leaves it unchanged.
"""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.content.library.disk import (
    cannot_write,
    explaining_write_errors,
    megabytes,
    sync,
    sync_file_system,
    tree_size,
)
from netboot.content.library.record import Record
from netboot.errors import NO_RIGHT, ContentError
from netboot.model.release import EntryKind

STAGING: Final = ".staging"
LOCK: Final = ".lock"
_REMOVED: Final = "removed"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DIRECTORY_MODE: Final = 0o755
_SPARE_BYTES: Final = 64 << 20  # a full disk stops the daemon's store too
_LAST_BYTES: Final = 16 << 20  # an import that unpacks to more than expected ends here


class LibraryBusyError(ContentError):
    """Another process is changing the library."""

    code = "content-busy"


class UnknownContentError(ContentError):
    """A name that no medium, release or alias has."""


class InvalidNameError(ContentError):
    """A name that is not valid in a URL and as a directory."""


class NameUsedError(ContentError):
    """A name that a medium, a release or an alias has already."""


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """A medium, a release, or an alias of one."""

    kind: EntryKind
    name: str
    path: Path
    alias_of: str | None = None

    @property
    def record(self) -> Record | None:
        return Record.read(self.path)


def checked_name(name: str) -> str:
    """Return a name that is valid in a URL and as a directory; raise InvalidNameError for any other."""
    if not _NAME.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} is not a valid name; use letters, digits, dots, dashes, at most 63, a letter or digit first"
        )
    return name


@dataclass(frozen=True, slots=True)
class Library:
    """The content directory, which may not exist yet."""

    directory: Path

    def entries(self) -> list[LibraryEntry]:
        """List media, releases and aliases by kind and name; raise ContentError if they cannot be read."""
        return [entry for kind in EntryKind for entry in self._entries(kind)]

    def _entries(self, kind: EntryKind) -> Iterator[LibraryEntry]:
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
                yield LibraryEntry(kind, name, path, alias_of=path.resolve().name if path.is_symlink() else None)

    def find(self, name: str) -> LibraryEntry:
        """Find an entry by name; raise UnknownContentError if none has it, ContentError if two have it."""
        found = [entry for entry in self.entries() if entry.name == name]
        if not found:
            raise UnknownContentError(
                f"there is no medium and no release {name} in {self.directory}; netboot content list"
            )
        if len(found) > 1:
            raise ContentError(f"{name} is a medium and a release; rename one below {self.directory} by mv")
        return found[0]

    def get(self, kind: EntryKind, name: str) -> LibraryEntry | None:
        return next((entry for entry in self._entries(kind) if entry.name == name), None)

    def check_not_of(self, kind: EntryKind, name: str) -> None:
        """Raise NameUsedError if a medium, release or alias of this kind has the name: a name is used once."""
        if (existing := self.get(kind, name)) is not None:
            use = f"another name of the {kind.word} {existing.alias_of}" if existing.alias_of else f"a {kind.word}"
            raise NameUsedError(f"{name} is {use} already; choose another name")

    def check_alias(self, entry: LibraryEntry, alias: str) -> None:
        """Raise InvalidNameError or NameUsedError if a name cannot become an alias of an entry."""
        place = entry.path.resolve().parent / checked_name(alias)
        if place.is_dir() and not place.is_symlink():
            raise NameUsedError(f"{alias} is a {entry.kind.word} itself, not another name of one; choose another alias")
        self.check_not_of(entry.kind.other, alias)

    def importable(self, kind: EntryKind, name: str) -> LibraryEntry | None:
        """Find what an import under this name is compared with; raise ContentError if the name must not be used."""
        self.check_not_of(kind.other, name)
        existing = self.get(kind, name)
        if existing is not None and existing.alias_of is not None:
            raise ContentError(
                f"{name} is another name of {existing.alias_of}; "
                "import under a name of its own (--name), then netboot content promote"
            )
        return existing

    @contextmanager
    def changing(self) -> Iterator["Staging"]:
        """Hold the lock, and a staging directory removed at the end; raise LibraryBusyError if the lock is held."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        with ExitStack() as stack:
            stack.callback(os.close, lock)
            _take(lock, self.directory)
            parent = self.directory / STAGING
            with explaining_write_errors(self.directory):
                parent.mkdir(exist_ok=True)
                own = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
            stack.callback(shutil.rmtree, own, ignore_errors=True)
            yield Staging(self, own)

    def remains(self) -> list[Path]:
        """List the remains of unfinished work. While the caller is `changing`, no process uses them."""
        return sorted((self.directory / STAGING).glob("*"))

    def is_being_changed(self) -> bool:
        """Return whether a process holds the lock now. Takes it for that, for a moment; raises OSError."""
        try:
            lock = os.open(self.directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def aliases_of(self, entry: LibraryEntry) -> list[str]:
        return [other.name for other in self._entries(entry.kind) if other.alias_of == entry.name]


@dataclass(frozen=True, slots=True)
class Staging:
    """The lock of a library while it is held, and a directory on the same file system."""

    library: Library
    directory: Path

    def make(self, name: str) -> Path:
        """Create an empty directory that can be published."""
        made = self.directory / name
        made.mkdir()
        return made

    def take_over(self) -> list[Path]:
        """Move here what killed imports had staged, to continue from it; none of it is verified or complete."""
        staged_before: list[Path] = []
        for remains in self._others():
            with suppress(OSError):  # another user's: left in place
                for staged in sorted(remains.iterdir()) if _is_directory(remains) else ():
                    if _is_directory(staged) and staged.name != _REMOVED:
                        staged_before.append(staged.rename(self.directory / f"before-{len(staged_before)}"))
            _delete(remains)
        return staged_before

    def publish(self, made: Path, kind: EntryKind, name: str) -> None:
        """Rename a complete directory to its published name, after all of it is on disk."""
        self.library.check_not_of(kind.other, name)
        parent = self.library.directory / kind
        with explaining_write_errors(self.library.directory):
            if not parent.is_dir():
                parent.mkdir()
                parent.chmod(_DIRECTORY_MODE)
            place = parent / name
            if os.path.lexists(place) and not place.is_dir():
                raise ContentError(f"{place} exists and is not a {kind.word}; remove it, and import again")
            for below, _, _ in os.walk(made):  # the daemon, another user, reads them, whatever the umask was
                Path(below).chmod(_DIRECTORY_MODE)
            sync_file_system(made)
            made.rename(place)
            sync(parent)

    def remove(self, entry: LibraryEntry) -> None:
        """Remove a medium, a release or an alias from the library at once, then delete its files."""
        with explaining_write_errors(self.library.directory):
            if entry.alias_of is not None:
                entry.path.unlink()
            else:
                entry.path.rename(self.directory / _REMOVED)
            sync(entry.path.parent)

    def promote(self, entry: LibraryEntry, alias: str) -> None:
        """Make `alias` a link to a medium or release, at once; its earlier target stays."""
        self.library.check_alias(entry, alias)
        target = entry.path.resolve()
        new = self.directory / "link"
        with explaining_write_errors(self.library.directory):
            new.symlink_to(target.name)
            new.rename(target.parent / alias)
            sync(target.parent)

    def collect(self) -> tuple[int, int]:
        """Delete the remains of unfinished work that this user may delete; return their count and size in bytes."""
        sizes = {path: tree_size(path) for path in self._others()}
        deleted = [path for path in sizes if _delete(path)]
        return len(deleted), sum(sizes[path] for path in deleted)

    def _others(self) -> list[Path]:
        return [path for path in self.library.remains() if path != self.directory]

    def check_space(self, needed_bytes: int, what: str) -> None:
        """Raise ContentError if the file system has less free space than this and a reserve."""
        free = shutil.disk_usage(self.directory).free
        if free < needed_bytes + _SPARE_BYTES:
            raise ContentError(
                f"cannot import {what}: it needs {megabytes(needed_bytes + _SPARE_BYTES)} in {self.library.directory} "
                f"and {megabytes(free)} are free; netboot content gc, remove a release, or enlarge the file system"
            )

    def check_reserve(self) -> None:
        """Raise ENOSPC a little before the file system is full."""
        if shutil.disk_usage(self.directory).free < _LAST_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
    """Delete a file, link or directory, never the target of a link; return False if it still exists."""
    if _is_directory(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    return not os.path.lexists(path)

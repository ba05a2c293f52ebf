"""Copies a boot medium or a release to where another web server has it: a directory, or a bucket of an S3 store.

The target gets the paths that machines ask for, `content/NAME/…` and `ostree/NAME/…`, and a `SHA256SUMS` beside them
that `sha256sum -c` reads. What is there already and the same is left alone, so that a copy that was cut carries on.
What names other files (refs, the summary) goes last: whoever pulls meanwhile finds what it is told of. Never deletes.
Blocks: call it from a command.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from netboot.content.library.disk import cannot_read, cannot_write
from netboot.content.library.progress import NoProgress, Progress
from netboot.content.serving import trees
from netboot.content.serving.served_file import ServedFile
from netboot.errors import ContentError

CHECKSUMS: Final = "SHA256SUMS"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file on its way: the path below the target, and what is there to send. `md5` is what S3 calls ETag."""

    key: str
    served: ServedFile
    sha256: bytes = b""
    md5: bytes = b""

    def open(self) -> BinaryIO:
        """Open its bytes."""
        return BytesIO(self.served.body) if self.served.body is not None else Path(self.served.path).open("rb")


class Target(Protocol):
    """Where files go."""

    threads: int

    def has(self, file: PublishedFile) -> bool:
        """Tell whether the very bytes are there."""

    def put(self, file: PublishedFile) -> None:
        """Put them there, whole or not at all; raise ContentError where they do not arrive as they are."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was done."""

    name: str
    files: int
    copied: int
    copied_bytes: int


def publish(content: Path, name: str, target: Target, *, progress: Progress | None = None) -> Published:
    """Copy the medium or release `name` below `content` to `target`; raise ContentError."""
    shown = progress or NoProgress()
    root, files = _files(content, name)
    shown.step(f"publish {name}", sum(file.served.size_bytes for file in files))
    first = [file for file in files if file.served.is_immutable or root == "content"]
    last = [file for file in files if not (file.served.is_immutable or root == "content")]
    done: list[tuple[PublishedFile, bool]] = []
    with ThreadPoolExecutor(target.threads) as pool:
        for part in (first, last):
            for sent in pool.map(lambda file: _send(file, target), part):
                shown.advance(sent[0].served.size_bytes)
                done.append(sent)
    lines = [f"{file.sha256.hex()}  {file.key.removeprefix(f'{root}/{name}/')}\n" for file, _ in done]
    sums = trees.made_file(name, CHECKSUMS, "".join(sorted(lines, key=lambda line: line[66:])).encode())
    _send(PublishedFile(f"{root}/{name}/{CHECKSUMS}", sums), target)
    copied = [file for file, is_new in done if is_new]
    return Published(name, len(done), len(copied), sum(file.served.size_bytes for file in copied))


def _files(content: Path, name: str) -> tuple[str, list[PublishedFile]]:
    """Name the tree of the URL, and every file that machines may ask for below it."""
    if not name or "/" in name or name.startswith("."):
        raise ContentError(f"cannot publish {name}: no medium or release has such a name; see netboot content list")
    medium = trees.read_medium_tree(content, name)
    if medium is not None:
        found = list(medium.files.items())
        return "content", [PublishedFile(f"content/{name}/{member}", file) for member, file in sorted(found)]
    release = trees.read_release_tree(content, name)
    if release is None:
        raise ContentError(
            f"cannot publish {name}: no medium or release has this name below {content}; see netboot content list"
        )
    members = {**release.files, **dict(_objects(release))}
    return "ostree", [PublishedFile(f"ostree/{name}/{member}", file) for member, file in sorted(members.items())]


def _objects(release: trees.ReleaseTree) -> Iterator[tuple[str, ServedFile]]:
    for directory in trees.sorted_entries(release.root / "objects"):
        for entry in trees.sorted_entries(Path(directory.path)):
            file = release.get(("objects", directory.name, entry.name))
            if file is not None:
                yield file.member, file


def _send(file: PublishedFile, target: Target) -> tuple[PublishedFile, bool]:
    """Send one file unless it is there; say which, with its checksums, and whether it was sent."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    try:
        with file.open() as source:
            while block := source.read(_BLOCK):
                sha256.update(block)
                md5.update(block)
    except OSError as error:
        raise cannot_read(Path(file.served.path), error) from error
    summed = replace(file, sha256=sha256.digest(), md5=md5.digest())
    if target.has(summed):
        return summed, False
    target.put(summed)
    return summed, True


class DirectoryTarget:
    """A directory that another web server serves, or that rsync carries there."""

    threads = 1

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, file: PublishedFile) -> bool:
        """Read what is there and compare."""
        path = self._directory / file.key
        try:
            if path.stat().st_size != file.served.size_bytes:
                return False
            with path.open("rb") as held:
                return hashlib.file_digest(held, "sha256").digest() == file.sha256
        except OSError:
            return False

    def put(self, file: PublishedFile) -> None:
        """Write beside and rename, so that nobody is served half a file."""
        path = self._directory / file.key
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            written = hashlib.sha256()
            with file.open() as source, beside.open("xb") as copy:
                while block := source.read(_BLOCK):
                    written.update(block)
                    copy.write(block)
                copy.flush()
                os.fchmod(copy.fileno(), 0o644)
            if written.digest() != file.sha256:
                raise ContentError(f"{file.served.path} changed while it was copied; publish again")
            beside.replace(path)
        except OSError as error:
            raise cannot_write(self._directory, error) from error
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)

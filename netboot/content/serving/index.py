"""The index of served files: maps a URL below `/content/`, `/ostree/` and `/v2/` to a file without reading the disk.

`find` reads memory and may be called on the loop. `refresh` and `find_new` read directories in threads.
Never serves a file outside the directory (a link that leads out is listed in `problems`), a hidden file other than
`.treeinfo`, a directory, or a file of a repository that no client requests (`tmp`, `state`, locks).
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from netboot.content.serving.image_index import ImageIndex
from netboot.content.serving.served_file import ServedFile
from netboot.content.serving.trees import TREES, ReleaseTree, Tree, sorted_entries
from netboot.content.serving.url_path import is_plain, segments
from netboot.content.serving.withheld_files import WithheldFiles
from netboot.model.release import EntryKind, EntryName
from netboot.model.urls import MEDIA_ROOT, REGISTRY_PREFIX, RELEASES_ROOT

RESCAN_INTERVAL_S: Final = 2.0  # minimum time between two scans of one name
_MOST_RECENT: Final = 8192  # files, a kilobyte each
_KIND_OF_ROOT: Final = {MEDIA_ROOT: EntryKind.MEDIUM, RELEASES_ROOT: EntryKind.RELEASE}  # by the first part of a path


class ContentIndex:
    """All files below `content.directory` that machines may fetch."""

    def __init__(self, directory: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `refresh` reads the directory. `monotonic` returns seconds."""
        self.directory = directory
        self.images = ImageIndex(directory, monotonic)
        self.withheld = WithheldFiles()
        self._monotonic = monotonic
        self._trees: Mapping[EntryName, Tree] = {}
        self._recent: dict[str, ServedFile] = {}  # machines that install at once request the same objects
        self._read_at: dict[EntryName, float] = {}
        self._reading: dict[EntryName, asyncio.Task[None]] = {}

    def names(self, kind: EntryKind) -> list[str]:
        """List the media or the releases that are served."""
        return sorted(name for each, name in self._trees if each is kind)

    def release_tree(self, name: str) -> ReleaseTree | None:
        tree = self._trees.get((EntryKind.RELEASE, name))
        return tree if isinstance(tree, ReleaseTree) else None

    @property
    def problems(self) -> tuple[str, ...]:
        """The entries of the directory that are not served, each with its cure."""
        return tuple(problem for tree in self._trees.values() for problem in tree.problems)

    def refresh(self) -> None:
        """Read the whole directory again and replace the index at once. Blocks: call it off the loop."""
        self.replace(self.read())

    def read(self, entry: EntryName | None = None) -> Mapping[EntryName, Tree | None]:
        """Read the whole directory, or one entry and its aliases, for `replace`; None: it is gone. Blocks."""
        entries = {*self._trees, *self._on_disk()} if entry is None else {entry, *self._aliases_of(*entry)}
        return {(kind, name): TREES[kind].read(self.directory, name) for kind, name in sorted(entries)}

    def _on_disk(self) -> Iterator[EntryName]:
        for kind in EntryKind:
            names = (entry.name for entry in sorted_entries(self.directory / kind))
            yield from ((kind, name) for name in names if not name.startswith("."))

    def _aliases_of(self, kind: EntryKind, name: str) -> Iterator[EntryName]:
        path = kind.path(self.directory, name)
        if not path.is_symlink():
            root = path.resolve()
            yield from (known for known, tree in self._trees.items() if known[0] is kind and tree.root == root)

    def replace(self, trees: Mapping[EntryName, Tree | None]) -> None:
        """Serve these instead of what was read before, and nothing of those that are gone."""
        self._trees = {key: tree for key, tree in {**self._trees, **trees}.items() if tree}
        self._recent = {}
        self.images.forget()

    def find(self, url_path: str) -> ServedFile | None:
        """Find the file of a raw URL path in memory."""
        recent = self._recent  # before the lookup: a refresh in its thread replaces it after the trees
        found = recent.get(url_path)
        if found is None and url_path.startswith(REGISTRY_PREFIX):
            return self.images.find(url_path)
        if found is None and (names := _named(url_path)) is not None:
            tree = self._trees.get(_key(names))
            found = tree.get(names[2:]) if tree else None
            if found is not None and found.is_immutable and is_plain(url_path):  # one spelling: `find_new` forgets it
                if len(recent) >= _MOST_RECENT:
                    recent.clear()
                recent[url_path] = found
        return found

    async def find_new(self, url_path: str) -> ServedFile | None:
        """Find on disk a file of a medium or release that is not in the index, or that changed.

        Of a known medium or release only this file is read (a new summary, a replaced kernel). A medium or release that
        was copied in by hand is read whole, each at most once in two seconds.
        """
        names = _named(url_path)
        if names is None:
            return None
        self._recent.pop(f"/{'/'.join(names)}", None)
        kind, name = _key(names)
        tree = self._trees.get((kind, name))
        if tree is not None:
            return await asyncio.to_thread(tree.read_again, names[2:])
        directory = kind.path(self.directory, name)
        if not await asyncio.to_thread(os.path.isdir, directory):  # Path.is_dir raises for a name that is too long
            return None
        await self._read_new(kind, name)
        return self.find(url_path)

    async def _read_new(self, kind: EntryKind, name: str) -> None:
        key = (kind, name)
        reading = self._reading.get(key)
        if reading is None:
            now = self._monotonic()
            if now - self._read_at.get(key, -RESCAN_INTERVAL_S) < RESCAN_INTERVAL_S:
                return
            self._read_at[key] = now  # reached only for existing directories, so requests cannot fill this table
            reading = self._reading[key] = asyncio.create_task(self._read(kind, name))
            reading.add_done_callback(lambda _: self._reading.pop(key, None))
        await asyncio.shield(reading)

    async def _read(self, kind: EntryKind, name: str) -> None:
        self.replace({(kind, name): await asyncio.to_thread(TREES[kind].read, self.directory, name)})


def _named(url_path: str) -> tuple[str, ...] | None:
    """Split a raw URL path into its names; None if it does not lead below a medium or release."""
    names = segments(url_path)
    return names if names and len(names) > 2 and names[0] in _KIND_OF_ROOT else None


def _key(names: tuple[str, ...]) -> EntryName:
    return _KIND_OF_ROOT[names[0]], names[1]

"""The index of served files: maps a URL below `/content/` and `/ostree/` to a file without reading the disk.

`find` reads memory and may be called on the loop. `refresh` and `find_new` read directories in threads.
Never serves a file outside the directory (a link that leads out is listed in `problems`), a hidden file other than
`.treeinfo`, a directory, or a file of a repository that no client requests (`tmp`, `state`, locks).
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from netboot.content.serving import trees
from netboot.content.serving.served_file import ServedFile
from netboot.content.serving.trees import MediumTree, ReleaseTree
from netboot.content.serving.url_path import is_plain, segments
from netboot.model.urls import MEDIA_ROOT, RELEASES_ROOT

RESCAN_INTERVAL_S: Final = 2.0  # minimum time between two scans of one name
_MOST_RECENT: Final = 8192  # files, a kilobyte each
_DIRECTORY_OF_ROOT: Final = {MEDIA_ROOT: "media", RELEASES_ROOT: "ostree"}  # first part of a URL path: its directory


class ContentIndex:
    """All files below `content.directory` that machines may fetch."""

    def __init__(self, directory: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start empty; `refresh` reads the directory. `monotonic` returns seconds."""
        self.directory = directory
        self._monotonic = monotonic
        self._media: Mapping[str, MediumTree] = {}
        self._releases: Mapping[str, ReleaseTree] = {}
        self._recent: dict[str, ServedFile] = {}  # machines that install at once request the same objects
        self._read_at: dict[tuple[str, str], float] = {}
        self._reading: dict[tuple[str, str], asyncio.Task[None]] = {}

    @property
    def media(self) -> tuple[str, ...]:
        """The names of the boot media."""
        return tuple(sorted(self._media))

    @property
    def releases(self) -> tuple[str, ...]:
        """The names of the releases."""
        return tuple(sorted(self._releases))

    def release_tree(self, name: str) -> ReleaseTree | None:
        """Find a release in memory."""
        return self._releases.get(name)

    @property
    def problems(self) -> tuple[str, ...]:
        """The entries of the directory that are not served, each with its cure."""
        trees_read = (*self._media.values(), *self._releases.values())
        return tuple(problem for tree in trees_read for problem in tree.problems)

    def refresh(self) -> None:
        """Read the whole directory again and replace the index at once. Blocks: call it off the loop."""
        media = ((name, trees.read_medium_tree(self.directory, name)) for name in self._names("media"))
        releases = ((name, trees.read_release_tree(self.directory, name)) for name in self._names("ostree"))
        self._media = {name: tree for name, tree in media if tree}
        self._releases = {name: tree for name, tree in releases if tree}
        self._recent = {}

    def find(self, url_path: str) -> ServedFile | None:
        """Find the file of a raw URL path in memory."""
        recent = self._recent  # before the lookup: a refresh in its thread replaces it after the trees
        found = recent.get(url_path)
        if found is None:
            found = self._find(url_path)
            if found is not None and found.is_immutable and is_plain(url_path):  # one spelling: `find_new` forgets it
                if len(recent) >= _MOST_RECENT:
                    recent.clear()
                recent[url_path] = found
        return found

    def _find(self, url_path: str) -> ServedFile | None:
        names = segments(url_path)
        if names is None or len(names) < 3:
            return None
        tree = self._tree(names[0], names[1]) if names[0] in _DIRECTORY_OF_ROOT else None
        return tree.get(names[2:]) if tree else None

    async def find_new(self, url_path: str) -> ServedFile | None:
        """Find on disk a file that is not in the index, or that changed.

        Of a known medium or release only this file is read (a new summary, a replaced kernel). A medium or release that
        was copied in by hand is read whole, each at most once in two seconds.
        """
        names = segments(url_path)
        if names is None or len(names) < 3 or names[0] not in _DIRECTORY_OF_ROOT:
            return None
        self._recent.pop(f"/{'/'.join(names)}", None)
        tree = self._tree(names[0], names[1])
        if tree is not None:
            return await asyncio.to_thread(tree.read_again, names[2:])
        directory = self.directory / _DIRECTORY_OF_ROOT[names[0]] / names[1]
        if not await asyncio.to_thread(os.path.isdir, directory):  # Path.is_dir raises for a name that is too long
            return None
        await self._read_tree(names[0], names[1])
        return self.find(url_path)

    async def _read_tree(self, url_root: str, name: str) -> None:
        key = (url_root, name)
        reading = self._reading.get(key)
        if reading is None:
            now = self._monotonic()
            if now - self._read_at.get(key, -RESCAN_INTERVAL_S) < RESCAN_INTERVAL_S:
                return
            self._read_at[key] = now  # reached only for existing directories, so requests cannot fill this table
            reading = self._reading[key] = asyncio.create_task(asyncio.to_thread(self._read, url_root, name))
            reading.add_done_callback(lambda _: self._reading.pop(key, None))
        await asyncio.shield(reading)

    def _read(self, url_root: str, name: str) -> None:
        if url_root == MEDIA_ROOT:
            medium = trees.read_medium_tree(self.directory, name)
            self._media = {**self._media, **({name: medium} if medium else {})}
        else:
            release = trees.read_release_tree(self.directory, name)
            self._releases = {**self._releases, **({name: release} if release else {})}

    def _tree(self, url_root: str, name: str) -> trees.Tree | None:
        return self._media.get(name) if url_root == MEDIA_ROOT else self._releases.get(name)

    def _names(self, kind: str) -> list[str]:
        entries = trees.sorted_entries(self.directory / kind)
        return [entry.name for entry in entries if not entry.name.startswith(".")]

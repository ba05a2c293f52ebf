"""Reads boot files for TFTP: at once if they are in memory, otherwise from the disk in one of two threads of its own.

Must never read the disk on the loop, and never wait for the daemon's other threads.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from netboot.content.bootfiles.bootfile_cache import BootFileCache, LargeFile
from netboot.content.bootfiles.directories import BootFile
from netboot.errors import ContentError

_T = TypeVar("_T")
_THREADS: Final = 2


class BootFileDisk:
    """Passes bytes, or a ContentError, to a callback on the loop."""

    def __init__(self, cache: BootFileCache) -> None:
        self._loop = asyncio.get_running_loop()
        self._cache = cache
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tftp-disk")

    def close(self) -> None:
        """Stop all callbacks."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def open(self, file: BootFile, then: Callable[[bytes | LargeFile | ContentError], None]) -> None:
        """Pass a small file's bytes (at once from memory, if it has not changed) or a large file open for `piece`."""
        content = self._cache.fresh(file)
        if content is not None:
            then(content)
        else:
            self._call(lambda: self._cache.read(file), then)

    def piece(self, file: LargeFile, offset: int, *, length: int, then: Callable[[bytes | ContentError], None]) -> None:
        """Pass some bytes of a large file; the caller keeps it open until `then`."""
        self._call(lambda: file.piece(offset, length), then)

    def _call(self, read: Callable[[], _T], then: Callable[[_T | ContentError], None]) -> None:
        def come_back(reading: asyncio.Future[_T | ContentError]) -> None:
            if not reading.cancelled():
                then(reading.result())

        self._loop.run_in_executor(self._threads, _or_error, read).add_done_callback(come_back)


def _or_error(read: Callable[[], _T]) -> _T | ContentError:
    try:
        return read()
    except ContentError as error:
        return error

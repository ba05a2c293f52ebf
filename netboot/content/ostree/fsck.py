"""Verifies an OSTree archive on all cores: the checksum of every object, and that no object referred to is missing.
Agrees with `ostree fsck` on which archives are sound.

As in `ostree fsck`, the walk begins at the commits of all refs and every commit object, except those that a pull left
incomplete (`state/COMMIT.commitpartial`). A damaged object that nothing refers to is harmless and only counted. Never
writes. Blocks: call it off the loop.
"""

import json
import os
import queue
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from netboot.content.library.disk import tree_size
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.ostree.object_check import DirectoryCheck
from netboot.content.ostree.object_table import DIRECTORIES, object_member
from netboot.content.ostree.repository import read_ref, ref_commits
from netboot.errors import ContentError

_MOST_WORKERS: Final = 16
_TIMEOUT_S: Final = 600.0  # for one directory, a 256th of an archive; a disk that takes longer is broken


@dataclass(frozen=True, slots=True)
class ArchiveCheck:
    """The result of a check. `object_count` counts the present objects that are referred to, sound or damaged.

    `pull_count` counts those that a pull of `ref` requests; objects of other commits and refs are not among them.
    """

    ref: str
    commit: str
    object_count: int
    pull_count: int
    size_bytes: int
    faults: dict[str, str]  # the file of each damaged or missing object below the archive, and its fault
    unreferred: tuple[str, ...]  # the files of the objects that nothing refers to


class Checker:
    """Worker processes that check directories; a context manager that ends them.

    A directory may be given while others are still being written, and again after it changed.
    """

    def __init__(self, root: Path) -> None:
        """Check the archive at `root` by one process per core."""
        self._objects = root / "objects"
        self._count = min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
        self._threads = ThreadPoolExecutor(self._count)  # each waits for one process
        self._processes: list[subprocess.Popen[str]] = []
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._checks: dict[str, Future[DirectoryCheck]] = {}

    def __enter__(self) -> Self:
        package_root = str(Path(__file__).resolve().parents[3])
        search_path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
        for _ in range(self._count):
            process = subprocess.Popen(
                [sys.executable, "-m", "netboot.content.ostree.object_check", str(self._objects)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": search_path},
            )
            self._processes.append(process)
            self._idle.put(process)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is not None:
            for process in self._processes:
                process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.communicate()

    def give(self, directory: str) -> None:
        """Request a check of `objects/{directory}`."""
        if directory in self._checks:
            self._checks[directory].cancel()
        self._checks[directory] = self._threads.submit(self._check, directory)

    def gather(self, progress: Progress) -> dict[str, DirectoryCheck]:
        """Wait for all requested checks; return the last result of each directory."""
        found = {}
        for directory, check in self._checks.items():
            try:
                found[directory] = check.result(_TIMEOUT_S)
            except TimeoutError:
                raise ContentError(
                    f"cannot check {self._objects}: no result in {_TIMEOUT_S:.0f} s; see dmesg"
                ) from None
            progress.advance(found[directory].size_bytes)
        return found

    def _check(self, directory: str) -> DirectoryCheck:
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(directory + "\n")
            process.stdin.flush()
            return DirectoryCheck(**json.loads(process.stdout.readline()))
        except (OSError, ValueError) as error:
            raise ContentError(f"cannot check {self._objects}: a worker process died; see dmesg") from error
        finally:
            self._idle.put(process)


def check_archive(root: Path, name: str, progress: Progress = NO_PROGRESS) -> ArchiveCheck:
    """Check the archive at `root`, called `name` in messages; raise ContentError if it is not an archive."""
    read_ref(root, name)
    progress.step(f"checking {name}", tree_size(root / "objects"))
    with Checker(root) as checker:
        for directory in DIRECTORIES:
            checker.give(directory)
        return evaluate(root, name, checker.gather(progress))


def evaluate(root: Path, name: str, found: dict[str, DirectoryCheck]) -> ArchiveCheck:
    """Combine the results of all directories: walk from the refs and every complete commit."""
    ref, commit = read_ref(root, name)
    present = {each for directory in found.values() for each in directory.present}
    refers = {each: names for directory in found.values() for each, names in directory.refers.items()}
    partial = {path.stem for path in (root / "state").glob("*.commitpartial")}
    commits = {each.removesuffix(".commit") for each in present if each.endswith(".commit")}
    reached = _reached(refers, (commits - partial) | ref_commits(root, name))
    faults = dict.fromkeys(reached - present, "it is missing")
    for directory in found.values():
        faults |= {each: what for each, what in directory.damaged.items() if each in reached}
    return ArchiveCheck(
        ref=ref,
        commit=commit,
        object_count=len(reached & present),
        pull_count=len(_reached(refers, {commit}) & present),
        size_bytes=sum(directory.size_bytes for directory in found.values()),
        faults={object_member(each): what for each, what in sorted(faults.items())},
        unreferred=tuple(map(object_member, sorted(present - reached))),
    )


def _reached(refers: dict[str, list[str]], commits: set[str]) -> set[str]:
    waiting = [f"{commit}.commit" for commit in commits]
    reached = set(waiting)
    while waiting:
        for child in refers.get(waiting.pop(), ()):
            if child not in reached:
                reached.add(child)
                waiting.append(child)
    return reached

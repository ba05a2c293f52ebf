"""Proves an OSTree archive over all cores: every object is what its name says, and nothing that is referred to is
missing. Agrees with `ostree fsck` on what is sound.

Roots of the walk are, as in `ostree fsck`, what the refs name and every commit that lies there, but for those that a
pull left in part (`state/COMMIT.commitpartial`). A damaged object that nothing refers to does no harm and is only
counted. Never writes. Blocks: call it off the loop.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from netboot.content.library.progress import NoProgress, Progress
from netboot.content.ostree.object_check import DirectoryCheck
from netboot.content.ostree.repository import read_ref, ref_commits
from netboot.errors import ContentError

DIRECTORIES: Final = tuple(f"{number:02x}" for number in range(256))
MOST_WORKERS: Final = 16
_ANSWER: Final = 600.0  # seconds for one directory, a 256th of an archive; a disk that takes longer is broken


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One object that is damaged or missing; `name` is `<64 hex>.<kind>`."""

    name: str
    what: str

    @property
    def member(self) -> str:
        """The object's file below the archive."""
        return f"objects/{self.name[:2]}/{self.name[2:]}"

    def __str__(self) -> str:
        return f"{self.member}: {self.what}"


@dataclass(frozen=True, slots=True)
class ArchiveCheck:
    """What a check found. `object_count` and `size_bytes` are of what lies there and is referred to, sound or not."""

    ref: str
    commit: str
    object_count: int
    size_bytes: int
    faults: tuple[Fault, ...]
    unreferred: tuple[str, ...]  # objects that nothing refers to

    @property
    def is_sound(self) -> bool:
        """Nothing that is referred to is damaged or missing."""
        return not self.faults


class _Question(NamedTuple):
    directory: str
    number: int  # how often it was asked before, and once


class Checker:
    """Worker processes that check the directories they are given; a context manager that ends them.

    Directories may be given while others are still being written, and given again when they have changed.
    """

    def __init__(self, root: Path, *, workers: int | None = None) -> None:
        """Check the archive at `root` by `workers` processes, one for each core if not given."""
        self._objects = root / "objects"
        self._count = min(workers or len(os.sched_getaffinity(0)), MOST_WORKERS)
        self._asked: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[_Question, DirectoryCheck] | ContentError] = queue.SimpleQueue()
        self._found: dict[str, DirectoryCheck] = {}
        self._asked_last: dict[str, int] = {}
        self._open = 0
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []

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
            thread = threading.Thread(target=self._feed, args=(process,), daemon=True)
            self._processes.append(process)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in self._threads:
            self._asked.put(None)
        for process in self._processes:
            if kind is not None:
                process.kill()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what a killed worker did not read
                        pipe.close()
            process.wait()

    def give(self, directory: str) -> None:
        """Have `objects/{directory}` checked."""
        self._open += 1
        number = self._asked_last[directory] = self._asked_last.get(directory, 0) + 1
        self._asked.put(_Question(directory, number))

    def gather(self, progress: Progress) -> dict[str, DirectoryCheck]:
        """Wait until all that was given is checked; return what was found last in each directory."""
        while self._open:
            try:
                answer = self._answers.get(timeout=_ANSWER)
            except queue.Empty:
                raise ContentError(f"cannot check {self._objects}: no answer in {_ANSWER:.0f} s; see dmesg") from None
            if isinstance(answer, ContentError):
                raise answer
            self._open -= 1
            question, found = answer
            if question.number == self._asked_last[question.directory]:  # workers overtake each other
                self._found[question.directory] = found
                progress.advance(found.size_bytes)
        return self._found

    def _feed(self, process: subprocess.Popen[str]) -> None:
        """Give one worker directory after directory. A thread of its own."""
        assert process.stdin is not None
        assert process.stdout is not None
        while (question := self._asked.get()) is not None:
            try:
                process.stdin.write(question.directory + "\n")
                process.stdin.flush()
                found = DirectoryCheck(**json.loads(process.stdout.readline()))
            except (OSError, ValueError):
                self._answers.put(ContentError(f"cannot check {self._objects}: a worker process died; see dmesg"))
                return
            self._answers.put((question, found))


def check_archive(
    root: Path, name: str, *, progress: Progress | None = None, workers: int | None = None
) -> ArchiveCheck:
    """Check the archive at `root`, called `name` in messages; raise ContentError where it is no archive."""
    read_ref(root, name)
    progress = progress or NoProgress()
    progress.step(f"checking {name}", sum(size_of(root / "objects" / directory) for directory in DIRECTORIES))
    with Checker(root, workers=workers) as checker:
        for directory in DIRECTORIES:
            checker.give(directory)
        return judged(root, name, checker.gather(progress))


def size_of(directory: Path) -> int:
    """Add the sizes of the files of one directory; 0 where it is missing."""
    try:
        with os.scandir(directory) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:
        return 0


@dataclass(slots=True)
class _Graph:
    """All that lies in an archive, put together from its directories."""

    present: set[str] = field(default_factory=set)
    damaged: dict[str, str] = field(default_factory=dict)
    refers: dict[str, list[str]] = field(default_factory=dict)


def judged(root: Path, name: str, found: dict[str, DirectoryCheck]) -> ArchiveCheck:
    """Walk from the ref and from every commit through what was found."""
    ref, commit = read_ref(root, name)
    graph = _Graph()
    for directory in found.values():
        graph.present.update(directory.present)
        graph.damaged.update(directory.damaged)
        graph.refers.update(directory.refers)
    partial = {path.stem for path in (root / "state").glob("*.commitpartial")}
    commits = {each.removesuffix(".commit") for each in graph.present if each.endswith(".commit")}
    reached = _reached(graph, (commits - partial) | ref_commits(root, name))
    faults = [Fault(each, "it is missing") for each in reached - graph.present]
    faults += [Fault(each, what) for each, what in graph.damaged.items() if each in reached]
    return ArchiveCheck(
        ref=ref,
        commit=commit,
        object_count=len(reached & graph.present),
        size_bytes=sum(directory.size_bytes for directory in found.values()),
        faults=tuple(sorted(faults)),
        unreferred=tuple(sorted(graph.present - reached)),
    )


def _reached(graph: _Graph, commits: set[str]) -> set[str]:
    waiting = [f"{commit}.commit" for commit in commits]
    reached = set(waiting)
    while waiting:
        for child in graph.refers.get(waiting.pop(), ()):
            if child not in reached:
                reached.add(child)
                waiting.append(child)
    return reached

"""Records a lab's processes and files below /run, so that the next run can clean up after one that was killed.

`owner` and each file in `processes` hold `PID START WHAT`; START (clock ticks, proc(5) stat field 22) distinguishes a
process from a later one with the same pid. One file per fact, so that several commands write without a lock.
Never ends a process whose start time differs, nor removes a namespace without the lab's prefix.
"""

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RUN_DIRECTORY: Final = Path("/run/netboot-lab")
NAMESPACE_PREFIX: Final = "nblab-"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process of a lab."""

    pid: int
    started: int
    what: str

    @classmethod
    def of(cls, pid: int, what: str) -> "ProcessRecord":
        """Describe a running process; `started` is 0 if it has ended already."""
        return cls(pid, start_time(pid) or 0, what)

    @classmethod
    def read(cls, text: str) -> "ProcessRecord":
        """Read one record; raise ValueError if it is invalid."""
        pid, started, what = text.strip().split(" ", 2)
        return cls(int(pid), int(started), what)

    def __str__(self) -> str:
        return f"{self.pid} {self.started} {self.what}"

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return self.started != 0 and start_time(self.pid) == self.started

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to this very process, if it still runs."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None if it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may contain any character
    return None if fields[0] == "Z" else int(fields[19])


class Records:
    """The records of one lab."""

    def __init__(self, lab_id: str, run_directory: Path = RUN_DIRECTORY) -> None:
        self.lab_id = lab_id
        self.directory = run_directory / lab_id

    @classmethod
    def create(cls, lab_id: str, work: Path, run_directory: Path = RUN_DIRECTORY) -> "Records":
        """Claim this name for the running process; raise FileExistsError if a lab has it."""
        records = cls(lab_id, run_directory)
        draft = run_directory / f".{lab_id}-{os.getpid()}"
        (draft / "processes").mkdir(parents=True)
        (draft / "owner").write_text(str(ProcessRecord.of(os.getpid(), "lab")))
        (draft / "work").write_text(str(work))
        try:
            draft.rename(records.directory)  # atomic; a directory with content is never replaced
        except OSError:
            shutil.rmtree(draft)
            raise FileExistsError(f"a lab named {lab_id} exists") from None
        return records

    @property
    def owner(self) -> ProcessRecord:
        """The process that started the lab."""
        return ProcessRecord.read((self.directory / "owner").read_text())

    @property
    def work(self) -> Path:
        """The directory of the lab's disks, logs and content."""
        return Path((self.directory / "work").read_text())

    def add_process(self, pid: int, what: str) -> None:
        """Record a process of this lab."""
        (self.directory / "processes" / str(pid)).write_text(str(ProcessRecord.of(pid, what)))

    def processes(self) -> tuple[ProcessRecord, ...]:
        """Return the processes that were recorded, whether they still run or not."""
        files = sorted((self.directory / "processes").iterdir())
        return tuple(ProcessRecord.read(file.read_text()) for file in files)

    def remove(self) -> None:
        """Delete the lab's records and work directory."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.work)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes while the block runs; the file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def all_records(run_directory: Path = RUN_DIRECTORY) -> Iterator[Records]:
    """Return the records of every lab, running or not."""
    if run_directory.is_dir():
        for directory in sorted(run_directory.iterdir()):
            if not directory.name.startswith(".") and (directory / "owner").is_file():
                yield Records(directory.name, run_directory)

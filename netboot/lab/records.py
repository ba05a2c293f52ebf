"""Records of each running lab below /run, so that a command finds it and the next lab cleans up after a killed one.

A lab runs while its process holds the lock on its work directory. The lock ends with the process, in any PID namespace.
Every process of a lab ends with the process that started it (`lan.namespaces.inside`), so none is recorded.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

RUN_DIRECTORY: Final = Path("/run/netboot-lab")
NAMESPACE_PREFIX: Final = "nblab-"


class Records:
    def __init__(self, lab_id: str, run_directory: Path = RUN_DIRECTORY) -> None:
        self.lab_id = lab_id
        self.directory = run_directory / lab_id

    @classmethod
    def create(cls, lab_id: str, work: Path, run_directory: Path = RUN_DIRECTORY) -> "Records":
        """Claim this name for the running process; raise FileExistsError if a lab has it."""
        records = cls(lab_id, run_directory)
        draft = run_directory / f".{lab_id}-{os.getpid()}"
        draft.mkdir(parents=True)
        (draft / "owner").write_text(str(os.getpid()))
        (draft / "work").write_text(str(work))
        try:
            draft.rename(records.directory)  # atomic; a directory with content is never replaced
        except OSError:
            shutil.rmtree(draft)
            raise FileExistsError(f"a lab named {lab_id} exists") from None
        return records

    @property
    def owner(self) -> int:
        """The pid of the process that started the lab; another process may have it once the lab has ended."""
        return int((self.directory / "owner").read_text())

    @property
    def work(self) -> Path:
        """The directory of the lab's disks, logs and content."""
        return Path((self.directory / "work").read_text())

    @property
    def is_running(self) -> bool:
        """Whether the process that started the lab still runs."""
        return self.directory.is_dir() and is_locked(self.work)

    def remove(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes while the block runs; the file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_locked(directory: Path) -> bool:
    """Return whether a process holds the lock on this directory; False if there is none."""
    try:
        lock = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def work_directory(labs: Path, lab_id: str) -> Iterator[Path]:
    """Make a directory below `labs` for one lab, remove those of ended labs first, and remove this one at the end."""
    labs.mkdir(parents=True, exist_ok=True)
    with locked(labs.parent / "labs.lock"):
        for other in labs.iterdir():
            if not is_locked(other):
                shutil.rmtree(other, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f"{lab_id}-", dir=labs))
        lock = os.open(work, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        work.chmod(0o755)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def all_records(run_directory: Path = RUN_DIRECTORY) -> Iterator[Records]:
    """Return the records of every lab, running or not."""
    for directory in sorted(run_directory.glob("*")):
        if not directory.name.startswith(".") and (directory / "owner").is_file():
            yield Records(directory.name, run_directory)

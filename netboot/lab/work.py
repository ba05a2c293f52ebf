"""A lab's directory of disks and content, locked while its process runs.

The lock ends with the process, in any PID namespace: a directory without a lock belongs to a lab that has ended.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netboot.lab.records import is_locked, locked


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

"""Reads content for the scrub, in a process of its own of idle priority for processor and disk.

Reads one request per line of JSON, writes one line for it: the faults by member, and the bytes that were read. Never
writes to the content. The checks are those of `netboot content verify`.
"""

import ctypes
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from netboot.content.library.record import Record
from netboot.content.ostree.object_check import check_directory
from netboot.content.ostree.object_table import object_member
from netboot.content.ostree.repository import HEADS, children, named_commit, ref_files
from netboot.errors import ContentError

MISSING: Final = "it is missing"
_CHUNK_BYTES: Final = 1 << 20
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}  # the numbers of the system call, ioprio_set(2)
_IDLE: Final = 3 << 13  # IOPRIO_CLASS_IDLE


def checked_objects(root: Path, directory: str) -> tuple[dict[str, str], int]:
    """Verify the objects in one directory of a release; return the faults by member, and the bytes read."""
    found = check_directory(root / "objects", directory)
    return {object_member(name): fault for name, fault in found.damaged.items()}, found.size_bytes


def missing_objects(root: Path, name: str) -> dict[str, str]:
    """Find the refs of a release that name no commit, and the objects that the others reach and that are not there.

    A damaged object is not followed.
    """
    commits, faults = _commits_of_refs(root, name)
    waiting = [f"{commit}.commit" for commit in commits]
    reached = set(waiting)
    while waiting:
        each = waiting.pop()
        member, kind = object_member(each), each.partition(".")[2]
        if not (root / member).is_file():
            faults[member] = MISSING
        elif kind in ("commit", "dirtree"):
            try:
                below = {f"{digest.hex()}.{kind}" for digest, kind in children(kind, (root / member).read_bytes())}
            except (OSError, ContentError):
                continue
            waiting += below - reached
            reached |= below
    return faults


def _commits_of_refs(root: Path, name: str) -> tuple[set[str], dict[str, str]]:
    """Return the commits that the refs name, and the fault of each ref that names none, or that is lacking."""
    commits, faults = set[str](), dict[str, str]()
    record = Record.read(root)
    if record is not None and record.ref and not (imported := root / HEADS / record.ref).is_file():
        faults[imported.relative_to(root).as_posix()] = MISSING
    for ref in ref_files(root):
        try:
            commits.add(named_commit(ref, name))
        except ContentError:
            faults[ref.relative_to(root).as_posix()] = "it has not the checksum of a commit, or cannot be read"
    return commits, faults


def file_fault(path: Path, wanted: str, *, rate: int = 0) -> tuple[str, int]:
    """Compare the SHA-256 of a file, at `rate` bytes per second at most (0: any); return fault and bytes read."""
    digest, size_bytes, began_s = hashlib.sha256(), 0, time.monotonic()
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
                if rate:
                    time.sleep(max(0.0, began_s + size_bytes / rate - time.monotonic()))
    except FileNotFoundError:
        return MISSING, size_bytes
    except OSError as error:
        return f"it cannot be read: {error.strerror}", size_bytes
    found = digest.hexdigest()
    return "" if found == wanted else f"its bytes have the checksum {found}", size_bytes


def answered(request: Mapping[str, Any]) -> dict[str, Any]:
    """Do one request."""
    root, faults, size_bytes = Path(request["root"]), dict[str, str](), 0
    if "directory" in request:
        faults, size_bytes = checked_objects(root, request["directory"])
    elif "release" in request:
        faults = missing_objects(root, request["release"])
    else:
        for member, wanted in request["files"].items():
            fault, read_bytes = file_fault(root / member, wanted, rate=request["rate"])
            size_bytes += read_bytes
            if fault:
                faults[member] = fault
    return {"faults": faults, "size_bytes": size_bytes}


def be_idle() -> None:
    """Let every other process have processor and disk first."""
    os.nice(19)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, _IDLE)  # IOPRIO_WHO_PROCESS, this process


def main() -> None:
    """Answer the requests of standard input until it ends, also because the parent was killed."""
    be_idle()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answered(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

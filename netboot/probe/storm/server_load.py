"""Reads what a daemon of this computer uses: processor time and memory, from /proc (proc(5))."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """Processor seconds since the process began, and the most memory that it held."""

    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What a storm cost the daemon. `peak_bytes` counts from the daemon's start."""

    cpu_s: float
    peak_bytes: int


def server_load(pid: int, proc: Path = _PROC) -> ServerLoad | None:
    """Read a process; None if it does not run here, as in another PID namespace."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        status = (proc / str(pid) / "status").read_text()
    except OSError:
        return None
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    return ServerLoad((int(fields[11]) + int(fields[12])) / _TICKS_PER_S, peak_kib * 1024)


def use_between(before: ServerLoad | None, after: ServerLoad | None) -> ServerUse | None:
    """Return what was used between two readings; None if one is missing."""
    if before is None or after is None:
        return None
    return ServerUse(after.cpu_s - before.cpu_s, after.peak_bytes)

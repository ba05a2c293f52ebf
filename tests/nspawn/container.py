"""Debian in `systemd-nspawn --boot`, on a network namespace of the caller: PID 1 is systemd, with journal and cgroups.

What it writes is in memory and ends with it. It needs no systemd on this computer, and leaves nothing: its processes
are ended by the process number of its PID 1; its cgroups, which nspawn would leave, are its own and removed.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

BOOT_S: Final = 120.0
STOP_S: Final = 30.0
HALT_S: Final = 3.0
COMMAND_S: Final = 120.0
_PATH: Final = "/opt/netboot/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Container:
    """A booted system; `leader` is its PID 1 as this computer numbers it, `console` what it wrote there."""

    leader: int
    console: Path

    def command(self, *arguments: str | Path) -> list[str]:
        """Give the command line that runs a program in the container, as root."""
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        enter = ["nsenter", f"--target={self.leader}", *spaces, "--wdns=/", "--"]
        return [*enter, "env", "-i", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", *map(str, arguments)]

    def run(self, *arguments: str | Path, status: int = 0, given: bytes = b"") -> str:
        """Run a program to its end; return what it printed."""
        done = subprocess.run(
            self.command(*arguments), input=given, capture_output=True, timeout=COMMAND_S, check=False
        )
        output = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{output}"
        return output

    def write(self, path: str, content: str | bytes, *, mode: str = "640", group: str = "netboot") -> None:
        """Put a file in place, as README does."""
        given = content.encode() if isinstance(content, str) else content
        self.run("install", "-m", mode, "-g", group, "/dev/stdin", path, given=given)

    def show(self, unit: str, *properties: str) -> Mapping[str, str]:
        """Read properties of a unit."""
        printed = self.run("systemctl", "show", unit, *(f"--property={each}" for each in properties))
        return dict(line.partition("=")[::2] for line in printed.splitlines())

    def pid_here(self, pid: int) -> int:
        """Return the number on this computer of a process of the container."""
        namespace = Path(f"/proc/{self.leader}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns/pid").readlink() != namespace:
                    continue
                (line,) = (each for each in (process / "status").read_text().splitlines() if each.startswith("NSpid:"))
            except OSError:  # it ended meanwhile
                continue
            if int(line.split()[-1]) == pid:
                return int(process.name)
        raise ProcessLookupError(pid)


@contextmanager
def booted(tree: Path, namespace: str, *, binds: Mapping[Path, str] | None = None) -> Iterator[Container]:
    """Boot the tree on a network namespace of `ip netns`; `binds` are directories of this computer, read only."""
    directory = Path(tempfile.mkdtemp(prefix="netboot-nspawn-"))
    try:
        with _cgroups(directory.name) as cgroups, _manager(directory / "notify") as manager:
            process = _start(tree, namespace, directory, cgroups=cgroups, binds=binds or {})
            try:
                leader = _leader(manager, process, directory / "console")
                try:
                    with _received(manager):
                        yield Container(leader, directory / "console")
                finally:
                    _halt(leader, process)
            finally:
                process.kill()
                process.wait(STOP_S)
    finally:
        shutil.rmtree(directory)


def _start(
    tree: Path, namespace: str, directory: Path, *, cgroups: list[Path], binds: Mapping[Path, str]
) -> subprocess.Popen[bytes]:
    enter = "".join(f"echo $$ > {path}/cgroup.procs; " for path in cgroups)
    nspawn = ["systemd-nspawn", "--quiet", "--boot", "--keep-unit", "--register=no", "--settings=no", "--console=pipe",
              "--volatile=overlay", f"--directory={tree}",
               f"--machine=netboot-{os.urandom(4).hex()}", "--notify-ready=yes",
              f"--network-namespace-path=/run/netns/{namespace}", "--resolv-conf=off", "--timezone=off",
              "--link-journal=no", *(f"--bind-ro={here}:{there}" for here, there in binds.items())]  # fmt: skip
    with (directory / "console").open("wb") as console:
        return subprocess.Popen(
            ["sh", "-c", f'{enter}exec "$@"', "sh", *nspawn],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(directory / "notify")},
        )  # fmt: skip


@contextmanager
def _manager(path: Path) -> Iterator[socket.socket]:
    """Receive what nspawn sends to a service manager: the number of PID 1, and that the system is booted."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(0.5)
        yield manager


def _leader(manager: socket.socket, process: subprocess.Popen[bytes], console: Path) -> int:
    leader, deadline = 0, time.monotonic() + BOOT_S
    while True:
        assert process.poll() is None, f"systemd-nspawn ended:\n{console.read_text()}"
        assert time.monotonic() < deadline, f"it did not boot:\n{console.read_text()}"
        try:
            lines = manager.recv(4096).decode().splitlines()
        except TimeoutError:
            continue
        leader = next(
            (int(line.partition("=")[2]) for line in lines if line.startswith("X_NSPAWN_LEADER_PID=")), leader
        )
        if "READY=1" in lines and leader:
            return leader


@contextmanager
def _received(manager: socket.socket) -> Iterator[None]:
    """Receive what nspawn forwards of each unit; if nobody did, PID 1 would wait for ever after a few restarts."""
    is_over = Event()

    def receive() -> None:
        while not is_over.is_set():
            with suppress(TimeoutError):
                manager.recv(4096)

    thread = Thread(target=receive)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _halt(leader: int, process: subprocess.Popen[bytes]) -> None:
    """End the system at once: nothing of it is kept. With PID 1 every process in its namespace ends."""
    try:
        os.kill(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
    with suppress(subprocess.TimeoutExpired):  # nspawn itself is killed then
        process.wait(HALT_S)


@contextmanager
def _cgroups(name: str) -> Iterator[list[Path]]:
    """Make cgroups for nspawn, which uses those of its caller and leaves what it made in them."""
    made = [directory / name for directory in _hierarchies()]
    for path in made:
        path.mkdir()
    try:
        yield made
    finally:
        for path in made:
            _remove(path)


def _hierarchies() -> Iterator[Path]:
    """Yield the cgroups of this process in cgroup2 and in systemd's own hierarchy of cgroup v1."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    named = [mount[1] for mount in mounts if mount[2] == "cgroup" and "name=systemd" in mount[3].split(",")]
    places = {"": [mount[1] for mount in mounts if mount[2] == "cgroup2"], "name=systemd": named}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for place in places.get(controllers, [])[:1]:
            yield Path(place + path)


def _remove(path: Path) -> None:
    deadline = time.monotonic() + STOP_S
    for each in sorted([path, *(each for each in path.rglob("*") if each.is_dir())], reverse=True):
        while True:
            try:
                each.rmdir()
                break
            except OSError:  # the kernel removes the last process a moment after its end
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

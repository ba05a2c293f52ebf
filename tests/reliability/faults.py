"""Real faults of an appliance: disks that fill up or become read-only, and what must go on meanwhile."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fixtures.daemon import wait_until
from fixtures.rack import Machine, Rack, token_in
from reliability.requests import MachineRequests

ARMED: Final = ("52:54:00:aa:bb:01", "192.0.2.50")  # cp1
UNARMED: Final = ("52:54:00:12:34:56", "192.0.2.51")  # w1
UNREGISTERED: Final = ("52:54:00:99:99:01", "192.0.2.60")
KERNEL: Final = "/content/ol8u10-x86_64/vmlinuz"
LINES_PER_MINUTE: Final = 60  # of a fault; the journal drops a service's lines after 10,000 in 30 s


@contextmanager
def a_disk(directory: Path, *, megabytes: int, options: str = "mode=1777") -> Iterator[Path]:
    """Mount a small disk at a directory, in this process's mount namespace; 0 megabytes are no limit."""
    directory.mkdir(exist_ok=True)
    words = f"size={megabytes}m,{options}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", words, "tmpfs", directory], check=True, timeout=10)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True, timeout=10)


@contextmanager
def full(disk: Path, *, left_bytes: int = 0) -> Iterator[None]:
    """Fill a disk up meanwhile."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - left_bytes
        written = 0
        while written < free:
            try:
                written += file.write(bytes(min(4096, free - written)))
            except OSError:
                break
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Let a disk be read-only meanwhile, for every process: as the kernel does after an error."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True, timeout=10)


@contextmanager
def answered_by_strace(pid: int, files: Sequence[Path], *, calls: str, answer: str) -> Iterator[None]:
    """Let `strace --inject` answer the system calls of a process on these files meanwhile.

    `answer` is `error=EROFS`, as a disk answers that the kernel made read-only, or a delay, as a slow one.
    """
    paths = [word for file in files for word in ("-P", str(file))]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), *paths]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:{answer}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: all(_is_traced(task) for task in Path(f"/proc/{pid}/task").iterdir()) or None)
            assert process.poll() is None, process.communicate()[1]
            yield
        finally:
            process.terminate()  # it lets the process go on without it


def _is_traced(task: Path) -> bool:
    with suppress(OSError):  # a thread that ended
        return "TracerPid:\t0" not in (task / "status").read_text()
    return True


@dataclass
class Faulted:
    """An appliance in which something fails, and the machines of its rack."""

    rack: Rack
    began_lines: int = 0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def armed(self) -> Machine:
        return self.rack.machine(*ARMED)

    @property
    def unarmed(self) -> Machine:
        return self.rack.machine(*UNARMED)

    def begin(self) -> None:
        """Begin to count the lines of the log."""
        self.began_lines, self.began_s = len(self.rack.log.splitlines()), time.monotonic()

    def serves_what_needs_no_write(self) -> None:
        """Offers, files, and the scripts of hosts that are not armed go on."""
        assert self.unarmed.discover() is not None
        assert self.armed.discover() is not None
        self.unarmed.boots()
        assert "exit 1" in self.unarmed.script()
        answer = self.unarmed.get(KERNEL)
        assert (answer.status, answer.body) == (200, "vmlinuz" * 100)

    def serves_no_installer(self) -> str:
        """Request the script of the armed host, which waits; return it."""
        script = self._script_of_armed()
        assert "/ks/" not in script
        assert "netboot:" in script
        return script

    def serves_the_installer(self) -> None:
        """The arming that was acknowledged before the fault leads to an installer and its Kickstart."""

        def kickstart() -> int | None:
            script = self._script_of_armed()
            return self.armed.get(f"/ks/{token_in(script, 'ks')}").status if "/ks/" in script else None

        assert wait_until(kickstart) == 200

    def _script_of_armed(self) -> str:
        """Boot to the script; wait longer for it than curl does, as iPXE."""
        self.armed.boots()
        return MachineRequests(self.rack.client_namespace, ARMED[1]).send("GET", f"/boot/{ARMED[0]}.ipxe").text

    def shows(self, part: str, text: str) -> dict[str, Any]:
        """Wait until the fault is in /readyz, the status, the page and an event; return the event."""
        reasons = wait_until(lambda: self._reasons(part, text), failed=lambda: self.rack.curl_api("/readyz").body)
        assert text in reasons
        problems = wait_until(lambda: [each for each in self._problems() if text in each] or None)
        assert len(problems) == 1
        page = self.rack.curl_api("/appliance")
        assert page.status == 200
        assert text.split(";")[0].split(": ")[-1].replace("'", "&#39;") in page.body
        return self.rack.wait_for("appliance.fault_found", part=part)

    def shows_event(self, part: str) -> dict[str, Any]:
        """Wait for the event of a fault that lets no administrator connect."""
        return self.rack.wait_for("appliance.fault_found", part=part)

    def has_recovered(self, part: str) -> None:
        """Wait until nothing of the fault is shown any more, and both events are stored."""
        wait_until(lambda: self._problems() == [] or None, failed=lambda: str(self._problems()))
        wait_until(lambda: self.rack.curl_api("/readyz").status == 200 or None)
        self.rack.wait_for("appliance.fault_ended", part=part)
        names = ("appliance.fault_found", "appliance.fault_ended")
        query = "&".join(f"event={name}" for name in names)

        def stored() -> bool | None:
            text = self.rack.api_text(f"/api/v1/events?{query}&after=0&follow=0").decode()
            return all(f'"event":"{name}"' in text.replace(" ", "") for name in names) or None

        wait_until(stored)

    def store_answers(self) -> None:
        """Wait until the store accepts writes again."""
        wait_until(lambda: self.rack.curl_api("/readyz").status == 200 or None)

    def is_alive_and_quiet(self) -> None:
        """The daemon did not end, no exception is in its log, and its lines are bounded."""
        assert self.rack.exit_code is None
        lines = self.rack.log.splitlines()[self.began_lines :]
        minutes = (time.monotonic() - self.began_s) / 60
        loud = [line for line in lines if '"level":"warning"' in line or '"level":"error"' in line]
        assert not [line for line in lines if "Traceback" in line]
        assert len(loud) <= 20 + LINES_PER_MINUTE * minutes, "\n".join(loud[-40:])

    def _reasons(self, part: str, text: str) -> str | None:
        answer = self.rack.curl_api("/readyz")
        if answer.status != 503:
            return None
        found = next((each for each in json.loads(answer.body)["parts"] if each["part"] == part), None)
        reasons = "; ".join(found["reasons"]) if found else ""
        return reasons if text in reasons else None

    def _problems(self) -> list[str]:
        problems: list[str] = self.rack.api("/api/v1/status")["problems"]
        return problems

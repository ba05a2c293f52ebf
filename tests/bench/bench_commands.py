"""The duration of commands beside `python -c "import click"`, and of the daemon's start until READY.

Run as root: `python tests/bench/bench_commands.py`. Wall-clock and CPU seconds of whole processes, the median of five;
everything in a temporary directory, the daemon on loopback. Measures and prints a table.
"""

# ruff: noqa: T201
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROUNDS = 5
READY_WITHIN_S = 60.0
NETBOOT = str(Path(sys.executable).with_name("netboot"))
SETTINGS = """\
network: {interfaces: [lo]}
dhcp: {port: 10067, pxe_port: 14011}
tftp: {port: 10069}
http: {port: 18080, listen: [127.0.0.1]}
admin: {socket: control.sock, listen: 127.0.0.1:18470}
content: {directory: content}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
hosts: {files: [hosts.yaml]}
"""


def rack(directory: Path, machines: int) -> Path:
    """Write a configuration of so many hosts; return its path."""
    (directory / "content").mkdir(parents=True)
    hosts = [
        f"  w{number}:\n    role: worker\n    mac: '52:54:00:00:{number >> 8:02x}:{number & 255:02x}'\n"
        f"    disk: /dev/disk/by-path/pci-0000:00:1f.2-ata-{number}\n"
        f"    network: {{address: 10.0.{1 + number // 250}.{1 + number % 250}/16, gateway: 10.0.0.1}}\n"
        for number in range(machines)
    ]
    (directory / "hosts.yaml").write_text("defaults: {release: ock-1.31-amd64}\nhosts:\n" + "".join(hosts))
    (directory / "netboot.yaml").write_text(SETTINGS)
    return directory / "netboot.yaml"


def timed(*command: str) -> tuple[float, float]:
    """Run a command to its end; give wall-clock and CPU seconds, the median of some runs after a first."""
    seconds = []
    for _ in range(1 + ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append((took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    wall, cpu = zip(*seconds[1:], strict=True)
    return statistics.median(wall), statistics.median(cpu)


@contextmanager
def ready(settings: Path) -> Iterator[float]:
    """Start the daemon; give the seconds until its READY=1, and end it."""
    place = settings.parent / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, (settings.parent / "log").open("ab") as log:
        systemd.bind(str(place))
        systemd.settimeout(READY_WITHIN_S)
        environment = os.environ | {"NOTIFY_SOCKET": str(place)}
        began = time.perf_counter()
        daemon = subprocess.Popen([NETBOOT, "--config", str(settings), "serve"], stderr=log, env=environment)
        try:
            while b"READY=1" not in systemd.recv(4096):
                pass
            yield time.perf_counter() - began
        finally:
            daemon.terminate()
            daemon.wait(30)
    place.unlink()


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        rack_of = {machines: rack(Path(made, str(machines)), machines) for machines in (3, 500, 5000)}
        click_s, click_cpu_s = timed(sys.executable, "-c", "import click")
        print("| command | seconds | CPU seconds | to `import click` |")
        print("|---|---|---|---|")
        print(f'| `python -c "import click"` | {click_s:.2f} | {click_cpu_s:.2f} | 1.0 |')

        def show(what: str, *arguments: str, machines: int = 3) -> None:
            took_s, cpu_s = timed(NETBOOT, "--config", str(rack_of[machines]), *arguments)
            print(f"| {what} | {took_s:.2f} | {cpu_s:.2f} | {took_s / click_s:.1f} |", flush=True)

        show("`netboot --version`", "--version")
        show("`netboot --help`", "--help")
        show("`netboot install --help`", "install", "--help")
        show("`netboot check`, 3 hosts", "check")
        show("`netboot plan`, 3 hosts", "plan")
        show("`netboot plan`, 500 hosts", "plan", machines=500)
        show("`netboot host list`, 3 hosts, no daemon", "host", "list")
        with ready(rack_of[3]):
            show("`netboot host list`, 3 hosts, from the daemon", "host", "list")
        for machines in (3, 5000):
            seconds = []
            for _ in range(ROUNDS):
                with ready(rack_of[machines]) as took_s:
                    seconds.append(took_s)
            took_s = statistics.median(seconds)
            print(
                f"| `netboot serve` to READY, {machines} hosts | {took_s:.2f} | | {took_s / click_s:.1f} |", flush=True
            )


if __name__ == "__main__":
    main()

"""Server time and memory of the pages of a rack of 1,000 hosts, each with a machine, a boot and events.

Run as root, in namespaces of its own: `.ci/isolated .venv/bin/python tests/bench/bench_pages.py`. The time is that
from the request to the last byte, on one kept connection on loopback, the median of 30 requests after a first. The CPU
time is that of the daemon, which another load of the computer does not change. Prints a table; fails if the first page
takes longer than `LIMIT_MS`.
"""

# ruff: noqa: T201
import asyncio
import http.client
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_commands import SETTINGS
from fixtures.daemon import Daemon
from fixtures.stored_rack import store_rack

from netboot.telemetry import logs

HOSTS = 1_000
ROUNDS = 30
LIMIT_MS = 300.0
PORT = 18470
HTML = {"Accept": "text/html"}


def write(directory: Path) -> None:
    """Write the configuration of so many hosts; each has labels and an address."""
    (directory / "content").mkdir()
    hosts = "".join(
        f"  n{number:04}: {{role: {'control-plane' if number < 3 else 'worker'}, "
        f"mac: '52:54:01:00:{number >> 8:02x}:{number & 255:02x}', labels: {{row: r{number % 20}}}, "
        f"disk: /dev/disk/by-id/n{number}}}\n"
        for number in range(HOSTS)
    )
    (directory / "hosts.yaml").write_text(f"hosts:\n{hosts}")
    (directory / "netboot.yaml").write_text(SETTINGS)


def fetched(connection: http.client.HTTPConnection, path: str) -> tuple[float, int]:
    """Fetch a page; return milliseconds and bytes."""
    began = time.perf_counter()
    connection.request("GET", path, headers=HTML)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, (path, answer.status, body[:500])
    return (time.perf_counter() - began) * 1000, len(body)


def cpu_ms(pid: int) -> float:
    """Return the CPU time that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")


def memory(pid: int, name: str) -> float:
    """Return `VmRSS` or `VmHWM` of a process in MB."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1000


def measure(daemon: Daemon) -> float:
    """Print the table; return the median of the first page."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    before = memory(daemon.pid, "VmRSS")
    print("| page | first ms | median ms | longest ms | CPU ms | kB |")
    print("|---|---|---|---|---|---|")
    medians = {}
    for what, path in {
        "the rack": "/",
        "the rack, sorted by model": "/?sort=model",
        "the rack, those that need attention": "/?attention=1",
        "the rack as CSV": "/rack.csv",
        "to arm 10 hosts": "/installs/arm?" + "&".join(f"host=n{number:04}" for number in range(10)),
        "to arm 500 hosts": "/installs/arm?" + "&".join(f"host=n{number:04}" for number in range(500)),
        "one host": "/hosts/n0001",
        "what one host would receive": "/hosts/n0001/plan",
        "unregistered machines": "/machines",
        "the actions on one host": "/api/v1/hosts/n0001/actions",
        "all hosts by the API": "/api/v1/hosts",
    }.items():
        first_ms, size = fetched(connection, path)
        used_ms = cpu_ms(daemon.pid)
        taken = [fetched(connection, path)[0] for _ in range(ROUNDS)]
        medians[path] = statistics.median(taken)
        used_ms = (cpu_ms(daemon.pid) - used_ms) / ROUNDS
        times = f"{first_ms:.0f} | {medians[path]:.0f} | {max(taken):.0f} | {used_ms:.0f}"
        print(f"| {what} | {times} | {size / 1000:.0f} |", flush=True)
    print(
        f"\nMemory: {before:.0f} MB before, {memory(daemon.pid, 'VmRSS'):.0f} MB after, "
        f"{memory(daemon.pid, 'VmHWM'):.0f} MB at most."
    )
    return medians["/"]


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        write(directory)
        daemon = Daemon(directory)
        logs.configure(level="error", form="json")  # each event of the store is a line
        asyncio.run(store_rack(daemon.config))
        daemon.start(timeout_s=60)
        try:
            median_ms = measure(daemon)
        finally:
            daemon.stop()
    if median_ms > LIMIT_MS:
        sys.exit(f"the first page takes {median_ms:.0f} ms, more than {LIMIT_MS:.0f}")


if __name__ == "__main__":
    main()

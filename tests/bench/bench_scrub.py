"""What the verification in the background costs offers and pulls, by its rate: `python tests/bench/bench_scrub.py`.

Run as root. The daemon, its machines and the pulls as in `bench_storm.py`; while a rate is measured, a round of the
verification runs all the time. The rates are measured in turns; the medians of the rounds are printed, with the ratio
to no verification. `RATES` in bytes per second may be given as arguments.
"""

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import bench_dhcp
import bench_http
import bench_storm

from netboot.content.library.record import Record

RATES = [5_000_000, 20_000_000, 0]  # 0: any
PULLS, OBJECTS, ROUNDS = 4, 800, 3
NONE = -1
FIRST_READ_S = 60.0


def make_scrubbed(directory):
    """Write the record of the medium's import, so that it is verified too."""
    medium = directory / "content/media/ol8"
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in medium.iterdir()}
    Record("a.iso", "", datetime.now(UTC).isoformat(), files=files).write(medium)


@contextmanager
def scrubbing(directory, rate):
    """Let a round run all the time meanwhile; it reads when this begins."""
    ended, reads = threading.Event(), threading.Event()
    curl = ["curl", "-sS", "--unix-socket", str(directory / "control.sock"), "http://localhost/api/v1/content/scrub"]

    def request():
        while not ended.wait(0.2):
            done = subprocess.run([*curl, "-X", "POST"], capture_output=True, check=True, timeout=20)
            if json.loads(done.stdout)["size_bytes"] > 0:
                reads.set()

    if rate == NONE:
        yield
        return
    requesting = threading.Thread(target=request)
    requesting.start()
    try:
        assert reads.wait(FIRST_READ_S), "nothing is verified"
        yield
    finally:
        ended.set()
        requesting.join()


def measure(directory, rate):
    """Run the daemon with a rate; give the offers' milliseconds and the pulls' seconds."""
    settings = bench_dhcp.SETTINGS
    more = "deltas: false, scrub_days: 0" + (f", scrub_rate: {rate}" if rate != NONE else "")
    bench_dhcp.SETTINGS = settings.replace("{directory: content}", f"{{directory: content, {more}}}")
    try:
        with bench_storm.serving("netboot", directory), scrubbing(directory, rate):
            (took, failed), [offers] = bench_storm.probed_during(lambda: bench_storm.pulls("netboot"), "--offers")
    finally:
        bench_dhcp.SETTINGS = settings
    assert failed == 0
    *spread, lost = offers
    return [*spread, took, lost]


def main(rates):
    """Measure by turns and print."""
    bench_storm.PULLS = PULLS
    with tempfile.TemporaryDirectory() as made, bench_dhcp.namespaces():
        directory = Path(made)
        bench_dhcp.appliance(directory, bench_storm.MACHINES)
        bench_http.make_content(directory, OBJECTS)
        make_scrubbed(directory)
        found = {rate: [] for rate in (NONE, *rates)}
        for _ in range(ROUNDS):
            for rate in found:
                found[rate].append(measure(directory, rate))
        say(f"{PULLS} pulls at once of {OBJECTS} files; milliseconds of an offer")
        say(f"{'rate':>12}{'p50':>8}{'p99':>8}{'worst':>8}{'pulls s':>9}{'lost':>6}{'p99 ratio':>11}{'pull ratio':>12}")
        medians = {
            rate: [statistics.median(column) for column in zip(*rows, strict=True)] for rate, rows in found.items()
        }
        for rate, (p50, p99, worst, took, lost) in medians.items():
            ratios = p99 / medians[NONE][1], took / medians[NONE][3]
            name = {NONE: "none", 0: "any"}.get(rate, f"{rate / 1e6:g} MB/s")
            line = f"{name:>12}{p50:8.2f}{p99:8.2f}{worst:8.2f}{took:9.2f}{lost:6.0f}"
            say(line + "{:11.2f}{:12.2f}".format(*ratios))


def say(line):
    """Write a line of the table."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or RATES)

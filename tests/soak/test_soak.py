"""Mixed load on one daemon: memory, descriptors and tasks stay flat, no error is logged, latencies are printed.

`make soak` runs ten minutes (`SOAK_S`), `make test` a short form. Machines boot, install, pull and send logs; operators
arm, declare hosts, set Ignition files, reload, read pages and events; releases and images are uploaded and imported.
"""

import json
import os
import random
import re
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from reliability.loaded_rack import LoadedRack
from soak.soak_clients import (
    HOSTS,
    SEED,
    BootingMachines,
    Latencies,
    Reads,
    Reloads,
    Streams,
    address_of,
    mac_of,
)

pytestmark = pytest.mark.integration

SOAK_S: Final = float(os.environ.get("SOAK_S", "40"))
FIGURES: Final = Path(__file__).resolve().parents[2] / "build" / "soak.json"
WARM_UP_S: Final = 20.0  # the first event streams that their readers left are noticed after 15 s
EVERY_S: Final = 1.0
MOST_GROWTH_MIB: Final = 16.0  # from the second quarter of the time to the last one
MOST_MORE: Final = 20  # descriptors and tasks, of which a moment has some more or fewer


@dataclass(frozen=True)
class Sample:
    """The daemon at one moment."""

    after_s: float
    rss_mib: float
    descriptors: int
    threads: int
    tasks: int


def sampled(loaded: LoadedRack, began_s: float) -> Sample:
    """Read /proc and the daemon's gauge of tasks."""
    process = Path(f"/proc/{loaded.rack.pid}")
    status = dict(re.findall(r"^(\w+):\s+(\d+)", (process / "status").read_text(), re.MULTILINE))
    metrics = loaded.operator.send("GET", "/metrics").text
    found = re.search(r"^netboot_tasks (\d+)", metrics, re.MULTILINE)
    assert found is not None
    descriptors = len(list((process / "fd").iterdir()))
    after_s = time.monotonic() - began_s
    return Sample(after_s, int(status["VmRSS"]) / 1024, descriptors, int(status["Threads"]), int(found[1]))


def add_clients(loaded: LoadedRack) -> Latencies:
    """Declare the hosts of the machines that boot, and add them and the readers to the clients."""
    latencies, rack, noted = Latencies(), loaded.rack, loaded.acknowledged
    for number in range(HOSTS):
        rack.add_client_address(address_of(number))
        rack.ip("neigh", "replace", address_of(number), "lladdr", rack.client_mac(), "dev", "s0", "nud", "permanent")
        values = {"role": "worker", "mac": mac_of(number), "network": {"address": f"{address_of(number)}/24"}}
        answer = loaded.operator.send("POST", "/api/v1/hosts", {"name": f"s{number}", "values": values})
        assert answer.status == 201, answer
    release = next((rack.directory / "content" / "ostree").iterdir())
    objects = [
        f"/ostree/{release.name}/{path.relative_to(release)}"
        for path in sorted((release / "objects").rglob("*"))
        if path.is_file()
    ][:200]
    boots = BootingMachines(rack.client_namespace, latencies, noted, loaded.leases, objects, random.Random(SEED))
    loaded.clients += [
        boots,
        Reads(loaded.operator, latencies, noted),
        Streams(loaded.operator.control, latencies),
        Streams(loaded.operator.control, latencies),
        Reloads(loaded.operator, latencies, noted),
    ]
    return latencies


def errors_of(loaded: LoadedRack) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in loaded.rack.log.splitlines() if line.startswith("{"))
    return [line for line in lines if line["level"] in ("error", "critical")]


def quarter(samples: list[Sample], number: int, name: str) -> float:
    """Return the median of a value in one quarter of the time."""
    size = len(samples) // 4
    return statistics.median(getattr(each, name) for each in samples[size * number : size * (number + 1)])


def test_a_daemon_under_mixed_load_stays_as_it_is(loaded: LoadedRack):
    loaded.start()
    latencies, samples = add_clients(loaded), list[Sample]()
    with loaded.loaded():
        threading.Event().wait(WARM_UP_S)
        began_s = time.monotonic()
        while time.monotonic() - began_s < SOAK_S:
            threading.Event().wait(EVERY_S)
            samples.append(sampled(loaded, began_s))
    errors = errors_of(loaded)
    figures = {
        "seconds": SOAK_S,
        "load_average": os.getloadavg(),
        "latencies": [dict(zip(("kind", "number", "p50_ms", "p99_ms"), row, strict=True)) for row in latencies.rows()],
        "acknowledged": dict(sorted(loaded.acknowledged.counts.items())),
        "quarters": {
            name: [quarter(samples, number, name) for number in range(4)]
            for name in ("rss_mib", "descriptors", "threads", "tasks")
        },
        "error_lines": len(errors),
        "errors": errors[:5],
        "faults": sorted(set(loaded.acknowledged.faults))[:20],
    }
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=1))
    sys.stdout.write(f"\n{table(figures)}")

    assert loaded.acknowledged.faults == []
    assert errors == []
    second, last = (quarter(samples, number, "rss_mib") for number in (1, 3))
    assert last - second <= MOST_GROWTH_MIB
    for name in ("descriptors", "threads", "tasks"):
        assert quarter(samples, 3, name) - quarter(samples, 1, name) <= MOST_MORE


def table(figures: dict[str, Any]) -> str:
    """Write the figures for a person."""
    lines = [
        f"{figures['seconds']:.0f} s, load average {figures['load_average'][0]:.1f}",
        f"{'kind':<16}{'number':>9}{'p50 ms':>10}{'p99 ms':>10}",
        *(
            f"{row['kind']:<16}{row['number']:>9}{row['p50_ms']:>10.1f}{row['p99_ms']:>10.1f}"
            for row in figures["latencies"]
        ),
        *(
            f"{name:<16}" + "".join(f"{value:>10.1f}" for value in values) + "   by quarter of the time"
            for name, values in figures["quarters"].items()
        ),
        *(f"{name:<16}{count:>9}" for name, count in figures["acknowledged"].items()),
    ]
    return "\n".join(lines) + "\n"

"""kill -9 of the daemon at random moments under load: what was acknowledged is kept, nothing half-written is read."""

import json
import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from postgresql import Server
from reliability.loaded_rack import SQLITE, LoadedRack, a_loaded_rack
from reliability.sound_files import faults_of_files, faults_of_store

pytestmark = pytest.mark.integration

SEED: Final = 17
FEW, MANY = 5, 100
MOST_LEFT: Final = 4  # files of the import that runs, and of the file that is being written
FIGURES: Final = Path(__file__).resolve().parents[2] / "build" / "reliability"
SHORTEST_S, MEAN_S, LONGEST_S = 0.3, 2.5, 12.0  # of load before a kill
LOAD: Final = 3  # of the hundred
AFTER_AN_IMPORT: Final = 0.2  # of the kills come soon after the end of an import: otherwise a busy box ends none
IMPORT_S: Final = 60.0


@dataclass
class Figures:
    """What is measured; written to the build directory, also of a run that failed."""

    name: str
    seed: int
    kills: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def write(self, loaded: LoadedRack) -> None:
        FIGURES.mkdir(parents=True, exist_ok=True)
        starts = loaded.starts_s[1:] or [0.0]  # the first one migrates
        summary = {
            "seed": self.seed,
            "load": loaded.load,
            "load_average": os.getloadavg(),
            "acknowledged": dict(sorted(loaded.acknowledged.counts.items())),
            "start_s": {"median": round(statistics.median(starts), 2), "longest": round(max(starts), 2)},
            "audited": loaded.audit.compared,
            "unaudited": len(loaded.audit.lacking),
            "most_left_over": max(loaded.left, default=0),
            "delivered": len(loaded.deliveries.ids),
            "delivered_twice": len(loaded.deliveries.ids) - len(set(loaded.deliveries.ids)),
            "faults": sorted(set(loaded.acknowledged.faults)),
        }
        (FIGURES / f"{self.name}.json").write_text(json.dumps({**summary, **self.more, "kills": self.kills}, indent=1))


def kill_often(loaded: LoadedRack, figures: Figures, *, kills: int) -> None:
    """Load the appliance, kill it, read its files, start it and compare, again and again."""
    chance, directory = random.Random(figures.seed), loaded.rack.directory
    database, faults = directory / "netboot.db", loaded.acknowledged.faults
    loaded.start()
    for _ in range(kills):
        after_s = min(SHORTEST_S + chance.expovariate(1 / MEAN_S), LONGEST_S)
        follows_an_import = chance.random() < AFTER_AN_IMPORT
        with loaded.loaded():
            began_s = time.monotonic()
            if follows_an_import:
                await_import(loaded, IMPORT_S)
                after_s /= MEAN_S
            time.sleep(after_s)  # the moment of the kill
            after_s = time.monotonic() - began_s
            loaded.rack.kill()
        faults += faults_of_files(directory)
        if database.exists():
            faults += faults_of_store(database, directory / "scratch")
        loaded.start()
        loaded.compare()
        loaded.audit.compare()
        counts = loaded.acknowledged.counts
        figures.kills.append(
            {"after_s": round(after_s, 3), "acknowledged": counts.total(), "imports": counts["import"]}
        )
        figures.write(loaded)
        assert faults == [], "\n".join(sorted(set(faults)))
    began_s = time.monotonic()
    assert loaded.undelivered() == set()
    figures.more = {"last_delivery_s": round(time.monotonic() - began_s, 1)}
    figures.write(loaded)
    assert loaded.audit.compared > 0
    assert max(loaded.left) <= MOST_LEFT


def await_import(loaded: LoadedRack, limit_s: float) -> None:
    """Wait until one more import is acknowledged, or until the limit."""
    before, until_s = loaded.acknowledged.counts["import"], time.monotonic() + limit_s
    while loaded.acknowledged.counts["import"] == before and time.monotonic() < until_s:
        time.sleep(0.02)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return SQLITE
    server: Server = request.getfixturevalue("postgresql_server")
    return server.new_database()


@pytest.fixture
def load() -> int:
    return 1


@pytest.fixture
def loaded(tmp_path: Path, url: str, archive: bytes, load: int) -> Iterator[LoadedRack]:
    with a_loaded_rack(tmp_path, url, seed=SEED, archive=archive, load=load) as loaded:
        yield loaded


def test_nothing_that_was_acknowledged_is_lost_by_a_kill(loaded: LoadedRack, request: pytest.FixtureRequest):
    kill_often(loaded, Figures(request.node.name, SEED), kills=FEW)


@pytest.mark.proof
@pytest.mark.parametrize("load", [LOAD])
def test_nothing_that_was_acknowledged_is_lost_by_a_hundred_kills(loaded: LoadedRack, request: pytest.FixtureRequest):
    kill_often(loaded, Figures(request.node.name, SEED + 1), kills=MANY)
    assert loaded.acknowledged.counts["import"] > 0

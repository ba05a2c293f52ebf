"""A fixed number of runs of every fuzz target, from the corpus that is kept; the same ones each time."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

HERE = Path(__file__).parent
RUNS = {
    "dhcp": 20_000,
    "tftp": 15_000,
    "http": 30_000,
    "yaml": 2_000,
    "ignition": 10_000,
    "syslog": 3_000,
    "iso": 300,
    "medium": 5_000,
    "tar": 5_000,
    "ostree_layer": 3_000,
    "gvariant": 20_000,
    "oci": 2_000,
}
LONGEST = {"iso": 60_000, "ostree_layer": 40_000, "tar": 20_000, "oci": 8_000}  # bytes; of the others 1500


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_keeps_every_promise(target: str):
    for kept in sorted((HERE / "corpus" / target).iterdir()):
        TARGETS[target](kept.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_what_grows_out_of_the_corpus_keeps_every_promise(target: str, tmp_path: Path):
    new = tmp_path / "new"
    new.mkdir()
    command = [sys.executable, str(HERE / "run.py"), target, str(new), str(HERE / "corpus" / target)]
    limits = [f"-runs={RUNS[target]}", "-seed=1", "-timeout=10", f"-max_len={LONGEST.get(target, 1500)}"]
    limits.append(f"-artifact_prefix={tmp_path}/")

    ran = subprocess.run([*command, *limits], capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 0, ran.stderr[-4000:]

"""A fixed number of runs of every fuzz target, from the corpus that is kept; the same ones each time."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

HERE = Path(__file__).parent
RUNS = {"dhcp": 20_000, "tftp": 15_000, "http": 30_000, "yaml": 2_000, "ignition": 10_000, "syslog": 3_000}


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_keeps_every_promise(target: str):
    for kept in sorted((HERE / "corpus" / target).iterdir()):
        TARGETS[target](kept.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_what_grows_out_of_the_corpus_keeps_every_promise(target: str, tmp_path: Path):
    new = tmp_path / "new"
    new.mkdir()
    command = [sys.executable, str(HERE / "run.py"), target, str(new), str(HERE / "corpus" / target)]
    limits = [f"-runs={RUNS[target]}", "-seed=1", "-max_len=1500", f"-artifact_prefix={tmp_path}/", "-timeout=10"]

    ran = subprocess.run([*command, *limits], capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 0, ran.stderr[-4000:]

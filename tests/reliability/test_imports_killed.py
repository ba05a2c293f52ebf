"""kill -9 of an import at random moments, and of the daemon between an import's rename and its index."""

import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.files import write_files
from fixtures.rack import Rack, running
from reliability.faults import KERNEL, Faulted
from reliability.sound_files import faults_of_files, leftovers

pytestmark = pytest.mark.integration

KILLS = 3
NAME = "ock-1.32-amd64"


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with running(write_files(tmp_path)) as rack:
        (rack.directory / "hosts.d").mkdir()
        yield rack


@pytest.fixture
def command(rack: Rack, archive: bytes) -> list[str]:
    """Give the command that imports a release."""
    source = rack.directory / "image.tar"
    source.write_bytes(archive)
    return rack.command("content", "import-archive", str(source), "--name", NAME, "--config", str(rack.config))


def test_an_import_that_is_killed_leaves_the_content_whole_and_is_done_by_the_next(rack: Rack, command: list[str]):
    chance = random.Random(17)
    whole_s = timed(command)
    assert NAME in rack.netboot("content", "list")
    for _ in range(KILLS):
        rack.netboot("content", "remove", NAME)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with process:
            try:
                process.wait(chance.uniform(0.3, 1.0) * whole_s)
            except subprocess.TimeoutExpired:
                process.kill()
        assert faults_of_files(rack.directory) == []
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        assert faults_of_files(rack.directory) == []
        assert rack.machine("52:54:00:12:34:56", "192.0.2.51").get(f"/ostree/{NAME}/config").status == 200
    rack.netboot("content", "gc")

    assert leftovers(rack.directory) == []
    assert rack.machine("52:54:00:12:34:56", "192.0.2.51").get(KERNEL).status == 200


def timed(command: list[str]) -> float:
    began_s = time.monotonic()
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return time.monotonic() - began_s


def test_a_release_whose_daemon_was_killed_before_it_read_it_is_served_by_the_next(rack: Rack, command: list[str]):
    rack.signal(signal.SIGSTOP)  # the rescan that the command requests waits
    ended = threading.Thread(target=subprocess.run, args=(command,), kwargs={"capture_output": True, "timeout": 120})
    ended.start()
    wait_until(lambda: (rack.directory / "content" / "ostree" / NAME).is_dir() or None)
    rack.signal(signal.SIGKILL)
    rack.wait()
    ended.join()

    rack.start()

    assert faults_of_files(rack.directory) == []
    assert NAME in rack.netboot("content", "list")
    assert Faulted(rack).unarmed.get(f"/ostree/{NAME}/config").status == 200
    assert leftovers(rack.directory) == []

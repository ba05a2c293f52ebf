"""Two appliances on one PostgreSQL: one runs the rollout, and the other one takes it over after its end."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fixtures.appliances import write_two
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS
from fixtures.rack import Rack, running
from fixtures.rollout_rack import HOSTS
from postgresql import Server

from netboot.operate.rollout.decision import person_texts

pytestmark = pytest.mark.integration

COMMANDS = "cluster: {commands: {start: [/bin/sleep, '300']}}\n"
TAKEN_OVER_S = 60.0  # 15 s, on a computer that is busy with other tests


def commands_of(rack: Rack) -> list[int]:
    """List the processes of the command that a daemon runs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
            if parent == rack.pid and (path.parent / "cmdline").read_bytes() == b"/bin/sleep\x00300\x00":
                found.append(int(path.parent.name))
    return found


def two_directories(directory: Path, server: Server) -> list[Path]:
    """Write two appliances without Ignition files."""
    directories = write_two(directory, server.new_database(), SETTINGS + COMMANDS)
    for each in directories:
        (each / "hosts.yaml").write_text(HOSTS)
        for file in (each / "ign").iterdir():
            file.unlink()
    return directories


def start_of(rack: Rack) -> dict[str, str]:
    [found] = rack.api("/api/v1/rollouts/newest")["commands"]
    assert found["kind"] == "start"
    return dict(found)


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Processes of commands, which outlive their daemon and end with the test."""
    found: list[int] = []
    yield found
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def test_another_appliance_takes_a_rollout_over_and_does_not_run_its_first_start(
    tmp_path: Path, postgresql_server: Server, started: list[int]
):
    directories = two_directories(tmp_path, postgresql_server)
    with running(directories[0]) as first, running(directories[1]) as second:
        first.netboot("cluster", "rollout", "cp1", "--no-power", "--yes")
        owner = wait_until(lambda: next((each for each in (first, second) if commands_of(each)), None))
        other = second if owner is first else first
        started += commands_of(owner)
        shown = other.netboot("cluster", "rollout", "show")
        assert commands_of(other) == []

        owner.kill()
        wait_until(lambda: start_of(other)["state"] == "needs-person" or None, timeout_s=TAKEN_OVER_S)

        history = other.api("/api/v1/hosts/cp1/history")
        assert "start is running" in shown
        assert start_of(other)["detail"] == person_texts.LOST_START
        assert commands_of(other) == [], "it would make the keys of another cluster"
        assert [move["what"] for move in history] == ["armed"], "it is not armed again"

        other.netboot("cluster", "rollout", "cancel")
        wait_until(lambda: other.api("/api/v1/rollouts/newest")["state"] == "cancelled" or None, timeout_s=TAKEN_OVER_S)
        other.netboot("cluster", "rollout", "cp1", "--no-power", "--yes")
        started += wait_until(lambda: commands_of(other) or None, timeout_s=TAKEN_OVER_S)
        assert start_of(other)["state"] == "running", "a new rollout runs the first start there"


def test_an_appliance_that_was_killed_goes_on_with_its_own_first_start(
    tmp_path: Path, postgresql_server: Server, started: list[int]
):
    with running(two_directories(tmp_path, postgresql_server)[0]) as rack:
        rack.netboot("cluster", "rollout", "cp1", "--no-power", "--yes")
        [before] = wait_until(lambda: commands_of(rack) or None)
        started.append(before)
        rack.kill()
        rack.start()
        os.kill(before, signal.SIGKILL)

        started += wait_until(lambda: commands_of(rack) or None, timeout_s=TAKEN_OVER_S)

        assert start_of(rack)["state"] == "running"

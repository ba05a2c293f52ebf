"""Two appliances on one PostgreSQL: one runs the rollout, and the other one takes it over after its end."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from fixtures.appliances import write_two
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS
from fixtures.rack import Rack, running
from fixtures.rollout_rack import HOSTS
from postgresql import Server

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


def test_one_appliance_runs_a_rollout_and_another_one_takes_it_over(tmp_path: Path, postgresql_server: Server):
    directories = write_two(tmp_path, postgresql_server.new_database(), SETTINGS + COMMANDS)
    for directory in directories:
        (directory / "hosts.yaml").write_text(HOSTS)
        for file in (directory / "ign").iterdir():
            file.unlink()
    started: list[int] = []
    with running(directories[0]) as first, running(directories[1]) as second:
        try:
            first.netboot("cluster", "rollout", "cp1", "--no-power", "--yes")
            owner = wait_until(lambda: next((each for each in (first, second) if commands_of(each)), None))
            other = second if owner is first else first
            started += commands_of(owner)
            shown = other.netboot("cluster", "rollout", "show")
            assert commands_of(other) == []

            owner.kill()
            started += wait_until(lambda: commands_of(other) or None, timeout_s=TAKEN_OVER_S)

            found = other.api("/api/v1/rollouts/newest")
            history = other.api("/api/v1/hosts/cp1/history")
            assert "start is running" in shown
            assert [(each["kind"], each["state"]) for each in found["commands"]] == [("start", "running")]
            assert [move["what"] for move in history] == ["armed"], "it is not armed again"
        finally:
            for process in started:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

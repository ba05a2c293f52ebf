"""`netboot cluster rollout` with a daemon: what is confirmed is what is wiped, and how a watched rollout ends."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from fixtures.daemon import wait_until
from fixtures.rack import Rack
from fixtures.rollout_rack import hosts_yaml, rollout_rack, write_rollout_files

pytestmark = pytest.mark.integration


@contextmanager
def command(rack: Rack, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a command to which the test may write, and end it."""
    line = rack.command("--config", str(rack.config), "cluster", "rollout", *arguments)
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until_prompt(process: "subprocess.Popen[str]") -> str:
    """Read what a command prints until it waits for an answer."""
    assert process.stderr is not None
    shown = ""
    while not shown.endswith("[y/N]: "):
        each = process.stderr.read(1)
        assert each, shown
        shown += each
    return shown


def test_only_the_hosts_that_were_confirmed_are_in_the_rollout(tmp_path: Path):
    write_rollout_files(tmp_path, hosts=hosts_yaml("cp1", "w1"))
    with rollout_rack(tmp_path) as cluster, command(cluster.rack, "--no-power") as prompted:
        shown = until_prompt(prompted)
        (tmp_path / "hosts.yaml").write_text(hosts_yaml("cp1", "w1", "w2"))
        cluster.rack.netboot("reload")
        _, errors = prompted.communicate("y\n", timeout=60)

        assert prompted.returncode == 0, errors
        assert "The disks of cp1, w1 are WIPED" in shown
        assert list(cluster.phases()) == ["cp1", "w1"]


def test_a_plan_that_is_refused_begins_nothing(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path) as cluster:
        refused = cluster.rack.netboot("cluster", "rollout", "w1", "--no-power", status=1)

        assert refused.splitlines() == [
            "netboot: cp1, which starts the cluster, is not ready; add it to the rollout",
            "no rollout was begun",
        ]
        assert cluster.rack.api("/api/v1/rollouts") == []


def test_a_watched_rollout_goes_on_after_a_restart_and_fails_unless_every_host_is_ready(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path) as cluster:
        cluster.rack.netboot("cluster", "rollout", "cp1", "--no-power", "--yes")
        with command(cluster.rack, "show", "--watch") as watching:
            wait_for(watching.stdout, "next: cp1: power the machine on")
            cluster.rack.signal(signal.SIGTERM)
            cluster.rack.wait()
            wait_for(watching.stderr, "no daemon listens on ")
            cluster.rack.start()
            cluster.rack.netboot("cluster", "rollout", "cancel", "--reason", "another day")
            output, errors = watching.communicate(timeout=60)

        assert [line.split("  ", 1)[-1] for line in output.splitlines()[-2:]] == [
            "cp1  cancelled: another day",
            "rollout 1 is cancelled",
        ], errors
        assert watching.returncode == 1
        assert cluster.rack.run("cluster", "rollout", "show").returncode == 0


def wait_for(lines: IO[str] | None, text: str) -> None:
    """Read lines until one begins with this text."""
    assert lines is not None
    for line in lines:
        if line.startswith(text):
            return
    raise AssertionError(f"{text!r} was not printed")


def test_a_program_that_is_missing_is_found_before_a_disk_is_wiped(tmp_path: Path):
    write_rollout_files(tmp_path, program=tmp_path / "bin" / "ocne")
    with rollout_rack(tmp_path) as cluster:
        found = [cluster.rack.netboot("cluster", "rollout", "--plan")]
        (tmp_path / "bin" / "ocne").unlink()
        found += [cluster.rack.netboot("cluster", "rollout", *each, status=1) for each in (("--plan",), ("--yes",))]

        problem = f"cluster.commands.start: there is no program {tmp_path}/bin/ocne; install it, or correct"
        assert [problem in each for each in found] == [False, True, True]
        wait_until(lambda: any(each.startswith(problem) for each in cluster.rack.api("/api/v1/status")["problems"]))
        assert cluster.rack.netboot("cluster", "rollout", "show", status=1).startswith("netboot: no rollout is kept")


def test_the_commands_that_remove_a_node_are_printed_in_their_order(tmp_path: Path):
    write_rollout_files(
        tmp_path, commands=("start", "join_worker", "drain", "delete"), program=tmp_path / "bin" / "ocne"
    )
    with rollout_rack(tmp_path) as cluster:
        shown = cluster.rack.netboot("cluster", "rollout", "--replace", "w1", "--no-power", status=1)

        assert [line for line in shown.splitlines() if line.startswith("removal: ")] == [
            f"removal: {tmp_path}/bin/ocne drain w1",
            'removal: run echo "chroot /hostroot kubeadm reset -f" | ocne cluster console --node w1, then netboot '
            "cluster rollout confirm",
            f"removal: {tmp_path}/bin/ocne delete w1",
        ]

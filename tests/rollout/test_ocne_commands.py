"""The commands of a rollout, with a stand-in that prints what `ocne` 2.3 prints; their files are taken."""

import asyncio
import fcntl
import itertools
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fixtures.site import Site

from netboot.model.host.role_ignition import RoleUse
from netboot.model.rollout.command import CommandKind
from netboot.operate.cluster.role_file_uses import IgnitionRequest, RoleFileUses
from netboot.operate.rollout.ocne.ocne_commands import (
    CommandDone,
    CommandFailed,
    CommandSettings,
    OcneCommands,
    Printed,
)
from netboot.registry.load import read

STAND_IN = Path(__file__).parents[1] / "fixtures" / "ocne_stand_in.py"
HOSTS = """\
cluster: {init: cp1}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/cp.ign}}
  worker: {ignition: {join: ign/w.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:00:00:01}
  w1: {role: worker, mac: 52:54:00:00:00:11}
"""
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
K = CommandKind


class Cluster:
    """A site with the stand-in, and a clock that a test sets."""

    def __init__(self, site: Site) -> None:
        self.ign, self.state, self.at = site.directory / "ign", site.directory / "ocne", NOON
        self.ign.mkdir()
        self.state.mkdir()
        site.write("hosts.yaml", HOSTS)
        draws = itertools.count(1)
        self.uses = RoleFileUses(
            lambda: read(Path("netboot.yaml")).hosts,
            lambda contents: read(Path("netboot.yaml"), contents=contents).faults,
            now=lambda: self.at,
            random_bytes=lambda count: next(draws).to_bytes(count, "big"),
        )

    def commands(self, *, timeout_s: float = 20.0, kubeadm: bool = False) -> OcneCommands:
        ocne = [sys.executable, str(STAND_IN), str(self.state)]
        settings = CommandSettings(
            {
                K.START: [*ocne, "cluster", "start"],
                K.START_AGAIN: [*ocne, "cluster", "start"],
                K.JOIN_CONTROL_PLANE: [*ocne, "cluster", "join", "-n", "1"],
                K.JOIN_WORKER: [*ocne, "cluster", "join", "-w", "1"],
                K.DRAIN: [*ocne, "drain"],
            },
            kubeadm=[*ocne, "kubeadm"] if kubeadm else (),
            ready=[*ocne, "ready"],
            timeout_s=timeout_s,
            home="/srv/ocne",
        )
        return OcneCommands(settings, place_of=self.place_of, take=self.take, now=lambda: self.at)

    def place_of(self, use: RoleUse) -> Path | None:
        return read(Path("netboot.yaml")).hosts.cluster.ignition.get(use)

    async def take(self, request: IgnitionRequest) -> object:
        return await asyncio.to_thread(self.uses.take, request)

    def run(self, work: Callable[[OcneCommands], Awaitable[Any]], **options: Any) -> Any:
        async def run() -> Any:
            return await work(self.commands(**options))

        return asyncio.run(run())

    def runs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state / "runs").read_text().splitlines()]

    def started(self, ending: str = "exit code 0") -> None:
        assert self.run(lambda commands: commands.run(K.START)) == CommandDone(ending)


NOT_WATCHED = "netboot was killed while it ran: its exit code is not known, and what it printed is a whole file"


@pytest.fixture
def cluster(site: Site) -> Cluster:
    return Cluster(site)


def test_the_first_start_gives_the_file_and_the_second_one_prints_none(cluster: Cluster):
    cluster.started()

    assert cluster.run(lambda commands: commands.run(K.START_AGAIN)) == CommandDone("exit code 0")

    assert sorted(path.name for path in cluster.ign.iterdir()) == ["init.ign", "init.ign.taken"]
    assert (cluster.ign / "init.ign").stat().st_mode & 0o777 == 0o600
    assert (cluster.state / "applications").exists()
    assert [(run["arguments"], run["home"], run["input"]) for run in cluster.runs()] == [
        (["cluster", "start"], "/srv/ocne", "")
    ] * 2


def test_the_printed_commands_are_run_on_standard_input_and_the_file_lasts_from_before_them(cluster: Cluster):
    cluster.started()

    done = cluster.run(lambda commands: commands.run(K.JOIN_CONTROL_PLANE), kubeadm=True)

    key = (cluster.state / "certificate-key").read_text()
    upload, token = (run["input"] for run in cluster.runs()[-2:])
    [file] = [each for each in cluster.uses.all() if each.path.name == "cp.ign"]
    assert done == CommandDone("exit code 0")
    assert upload == f"kubeadm init phase upload-certs --certificate-key {key} --upload-certs\n"
    assert token.startswith("kubeadm token create ")
    assert not any(key in argument for run in cluster.runs() for argument in run["arguments"])
    assert {each.at - NOON for each in file.deadlines} == {timedelta(hours=2), timedelta(hours=24)}


@pytest.mark.parametrize("version", ["2.3", "direct"])
def test_without_a_command_for_them_a_person_runs_what_was_printed(cluster: Cluster, version: str):
    cluster.started()
    if version == "direct":
        (cluster.state / "direct").touch()

    printed = cluster.run(lambda commands: commands.run(K.JOIN_WORKER))

    [line] = cluster.run(lambda commands: commands.printed(K.JOIN_WORKER))
    assert printed == Printed(1)
    assert "kubeadm token create " in line
    assert (cluster.ign / "w.ign.printed.commands").stat().st_mode & 0o777 == 0o600
    assert not (cluster.ign / "w.ign").exists()
    cluster.at = NOON + timedelta(hours=1)
    assert cluster.run(lambda commands: commands.take_printed(K.JOIN_WORKER, since=NOON)) is None
    [file] = [each for each in cluster.uses.all() if each.path.name == "w.ign"]
    [token] = [each.at for each in file.deadlines]
    assert token == NOON + timedelta(hours=24), "the token may have been made as soon as it was printed"
    assert sorted(path.name for path in cluster.ign.glob("w.ign*")) == ["w.ign", "w.ign.taken"]


def test_with_automatic_token_creation_nothing_is_left_to_do(cluster: Cluster):
    cluster.started()
    (cluster.state / "automatic").touch()

    assert cluster.run(lambda commands: commands.run(K.JOIN_WORKER)) == CommandDone("exit code 0")


def test_a_failed_run_gives_no_file_and_its_reason_has_no_token(cluster: Cluster):
    cluster.started()
    (cluster.state / "fail").touch()

    failed = cluster.run(lambda commands: commands.run(K.JOIN_WORKER))

    assert failed == CommandFailed(
        f"{sys.executable}: exit code 1: INFO[0000] begin; Error: the API server does not answer: token hidden"
    )
    assert not (cluster.ign / "w.ign").exists()


def test_another_output_than_an_ignition_file_is_refused(cluster: Cluster):
    (cluster.state / "wrong").touch()

    failed = cluster.run(lambda commands: commands.run(K.START))

    assert failed == CommandFailed(
        f"{sys.executable}: exit code 0, but its standard output is no Ignition file: Cluster rackone is running"
    )


def test_a_program_that_prints_something_else_is_named_with_the_end_of_it_and_no_secret(
    cluster: Cluster, tmp_path: Path
):
    program = tmp_path / "join"
    half = '{"ignition": {"version": "3.2.0"}, "passwd": {"users": [{"passwordHash": "XYZZY"'
    commands = "echo a; echo b; echo --token abcdef.0123456789abcdef; echo d; echo 'time=1 no route' >&2"
    found = []
    for text in (commands, f"echo begin; echo '{half}'", "true"):
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        settings = CommandSettings({K.JOIN_WORKER: [str(program)]})
        join = OcneCommands(settings, place_of=cluster.place_of, take=cluster.take, now=lambda: NOON)
        found.append(asyncio.run(join.run(K.JOIN_WORKER)))

    what = f"{program}: exit code 0, but its standard output is no Ignition file"
    assert found == [
        CommandFailed(f"{what}: b; --token hidden; d; on standard error: time=1 no route"),
        CommandFailed(f"{what}: begin; {{…"),
        CommandFailed(f"{what}: it is empty"),
    ]


def test_a_run_that_takes_too_long_is_killed_with_what_it_started(cluster: Cluster):
    cluster.started()
    (cluster.state / "slow").write_text("600")

    failed = cluster.run(lambda commands: commands.run(K.JOIN_WORKER), timeout_s=4.0)

    assert failed == CommandFailed(f"{sys.executable} did not end within 4 s and was killed")


def test_what_a_start_printed_before_its_daemon_was_killed_is_taken(cluster: Cluster):
    printed = subprocess.run(
        [sys.executable, STAND_IN, cluster.state, "cluster", "start"], capture_output=True, check=True, timeout=60,
        stdin=subprocess.DEVNULL,
    ).stdout  # fmt: skip
    (cluster.ign / "init.ign.printed").write_bytes(printed)

    cluster.started(NOT_WATCHED)

    assert (cluster.ign / "init.ign").read_bytes() == printed
    assert len(cluster.runs()) == 1


def test_a_run_of_a_killed_daemon_is_waited_for(cluster: Cluster):
    (cluster.state / "slow").write_text("3")
    program = (
        "import fcntl, os, subprocess, sys\n"
        "file = open(sys.argv[1], 'xb')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "subprocess.Popen(sys.argv[2:], stdout=file, stdin=subprocess.DEVNULL, start_new_session=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ocne = [sys.executable, str(STAND_IN), str(cluster.state), "cluster", "start"]
    subprocess.run([sys.executable, "-c", program, cluster.ign / "init.ign.printed", *ocne], check=False, timeout=60)

    cluster.started(NOT_WATCHED)

    assert len(cluster.runs()) == 1


def test_a_node_is_ready_when_its_command_succeeds(cluster: Cluster):
    assert cluster.run(lambda commands: commands.is_node_ready("w1"))
    (cluster.state / "fail").touch()
    assert not cluster.run(lambda commands: commands.is_node_ready("w1"))
    assert [run["arguments"] for run in cluster.runs()] == [["ready", "w1"]] * 2


def test_a_command_about_a_node_gets_its_name(cluster: Cluster):
    assert cluster.run(lambda commands: commands.run(K.DRAIN, host="w1")) == CommandDone("exit code 0")
    assert cluster.runs()[-1]["arguments"] == ["drain", "w1"]


def test_a_program_that_is_missing_is_named(cluster: Cluster):
    settings = CommandSettings({K.DRAIN: ["/nonexistent/kubectl"]})
    commands = OcneCommands(settings, place_of=cluster.place_of, take=cluster.take, now=lambda: NOON)

    failed = asyncio.run(commands.run(K.DRAIN, host="w1"))

    assert failed == CommandFailed(
        "cluster.commands.drain: there is no program /nonexistent/kubectl",
        "install it, or correct cluster.commands.drain in netboot.yaml and systemctl restart netboot",
    )


def test_a_command_fails_only_for_programs_that_it_runs(cluster: Cluster):
    missing = ["/nonexistent/program"]
    settings = CommandSettings({K.DRAIN: ["/bin/true"], K.JOIN_WORKER: ["/bin/true"]}, kubeadm=missing, ready=missing)
    commands = OcneCommands(settings, place_of=cluster.place_of, take=cluster.take, now=lambda: NOON)

    assert asyncio.run(commands.run(K.DRAIN, host="w1")) == CommandDone("exit code 0")
    assert asyncio.run(commands.run(K.JOIN_WORKER)) == CommandFailed(
        "cluster.commands.kubeadm: there is no program /nonexistent/program",
        "install it, or correct cluster.commands.kubeadm in netboot.yaml and systemctl restart netboot",
    )


def test_a_second_start_that_prints_an_ignition_file_has_made_another_cluster(cluster: Cluster):
    failed = cluster.run(lambda commands: commands.run(K.START_AGAIN))
    again = cluster.run(lambda commands: commands.run(K.START_AGAIN))

    assert isinstance(failed, CommandFailed)
    assert failed.is_final
    assert failed.cure.startswith("put the kubeconfig of this cluster"), (
        "another run would find the kubeconfig of that cluster, and succeed"
    )
    assert failed.reason.startswith("the second start made the keys of another cluster")
    assert "cluster.home /srv/ocne has no kubeconfig of this cluster" in failed.reason
    assert again == CommandDone("exit code 0")


def test_what_a_start_printed_before_it_failed_is_not_taken_and_kept(cluster: Cluster):
    (cluster.state / "fail-late").touch()
    printed, kept = cluster.ign / "init.ign.printed", cluster.ign / "init.ign.printed.failed"

    failed = cluster.run(lambda commands: commands.run(K.START))

    assert failed == CommandFailed(f"{sys.executable}: exit code 1: Error: cannot write the kubeconfig")
    assert (printed.exists(), json.loads(kept.read_bytes())["ignition"]["version"]) == (False, "3.4.0")
    assert kept.stat().st_mode & 0o777 == 0o600
    written = datetime.fromtimestamp(kept.stat().st_mtime, UTC)
    for later_s, has_begun in ((-1, True), (1, False)):
        since = written + timedelta(seconds=later_s)
        assert cluster.run(partial(OcneCommands.has_begun, kind=K.START, since=since)) is has_begun
    cluster.started()
    assert [run["arguments"] for run in cluster.runs()] == [["cluster", "start"]] * 2, "it was run again"
    assert sorted(path.name for path in cluster.ign.iterdir()) == ["init.ign", "init.ign.taken"]


def test_what_a_start_printed_before_its_time_out_is_not_taken_and_kept(cluster: Cluster):
    printed = subprocess.run(
        [sys.executable, STAND_IN, cluster.state, "cluster", "start"], capture_output=True, check=True, timeout=60,
        stdin=subprocess.DEVNULL,
    ).stdout  # fmt: skip
    file = cluster.state / "whole"
    file.write_bytes(printed)
    settings = CommandSettings({K.START: ["/bin/sh", "-c", f"cat {file}; sleep 600"]}, timeout_s=2.0)
    commands = OcneCommands(settings, place_of=cluster.place_of, take=cluster.take, now=lambda: NOON)

    failed = asyncio.run(commands.run(K.START))

    assert failed == CommandFailed("/bin/sh did not end within 2 s and was killed")
    assert {path.name for path in cluster.ign.iterdir()} == {"init.ign.printed.failed"}
    assert (cluster.ign / "init.ign.printed.failed").read_bytes() == printed


def test_what_another_appliance_printed_is_confirmed_there(cluster: Cluster):
    elsewhere = cluster.run(lambda commands: commands.take_printed(K.JOIN_CONTROL_PLANE, since=NOON))

    assert elsewhere == CommandFailed("what it printed is on the appliance that ran the rollout then; confirm it there")


def test_what_joins_printed_is_removed_and_what_the_first_start_printed_is_left(cluster: Cluster):
    cluster.started()
    waits = cluster.run(lambda commands: commands.run(K.JOIN_CONTROL_PLANE))
    before = {path.name for path in cluster.ign.iterdir()}
    (cluster.ign / "init.ign.printed").touch()

    cluster.run(lambda commands: commands.remove_printed())

    assert isinstance(waits, Printed)
    removed = {"cp.ign.printed", "cp.ign.printed.commands"}
    assert before - {path.name for path in cluster.ign.iterdir()} == removed
    assert (cluster.ign / "init.ign.printed").exists()


def test_the_output_of_a_join_that_still_runs_is_left_until_it_has_ended(cluster: Cluster):
    printed = cluster.ign / "w.ign.printed"
    with printed.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        while_it_runs = cluster.run(lambda commands: commands.remove_printed())
        is_left = printed.exists()
    ended = cluster.run(lambda commands: commands.remove_printed())

    assert (while_it_runs, is_left) == (False, True)
    assert (ended, printed.exists()) == (True, False)

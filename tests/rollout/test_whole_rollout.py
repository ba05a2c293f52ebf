"""A whole rollout by a daemon, with machines without hardware, a stand-in for `ocne`, and a server as the API."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.rollout_rack import STAND_IN, RolloutRack, rollout_rack, write_rollout_files

pytestmark = pytest.mark.integration

JOINS = ("join-control-plane", "join-worker")
EVERY = ("cp1", "cp2", "w1", "w2")


def test_blank_machines_become_a_cluster(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path, *EVERY) as cluster:
        begun = json.loads(cluster.rack.api_text("/api/v1/rollouts", "-X", "POST", "-d", "{}"))
        cluster.go(cluster.is_over)

        found = cluster.rollout()
        assert begun["state"] == "running", begun
        assert found["state"] == "ended"
        assert set(cluster.phases().values()) == {"ready"}
        assert all(node.is_ready for node in cluster.nodes.values())
        assert counters(cluster, "rollout_commands_total") == {
            f'command="{command}",outcome="done"': 1 for command in ("start", "start-again", *JOINS)
        }
        wait_until(lambda: set(counters(cluster, "rollout_hosts").values()) == {0} or None)


def counters(cluster: RolloutRack, name: str) -> dict[str, float]:
    """Read a metric by its labels."""
    lines = [
        line for line in cluster.rack.api_text("/metrics").decode().splitlines() if line.startswith(f"netboot_{name}{{")
    ]
    return {line.split("{")[1].split("}")[0]: float(line.rpartition(" ")[2]) for line in lines}


def begin(cluster: RolloutRack, *arguments: str) -> None:
    cluster.rack.netboot("cluster", "rollout", *arguments, "--yes")


def phases_are(cluster: RolloutRack, **expected: str) -> bool:
    return expected.items() <= cluster.phases().items()


def test_a_daemon_that_is_killed_three_times_goes_on_and_repeats_nothing(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path, *EVERY) as cluster:
        begin(cluster, "--no-power", "--max-parallel", "2")
        for until in (
            lambda: "installed" in cluster.phases().values(),
            lambda: cluster.runs().count("kubeadm") >= 1,
            lambda: phases_are(cluster, cp2="ready"),
        ):
            cluster.go(until)
            cluster.rack.kill()
            cluster.rack.start()
        cluster.go(cluster.is_over)

        histories = {name: cluster.rack.api(f"/api/v1/hosts/{name}/history") for name in EVERY}
        assert set(cluster.phases().values()) == {"ready"}
        assert {
            name: [move["what"] for move in moves].count("armed") for name, moves in histories.items()
        } == dict.fromkeys(EVERY, 1)
        assert cluster.runs()[0] == "start"
        assert all("3.4.0" in node.role.decode() for node in cluster.nodes.values() if node.role)


def test_a_machine_that_fails_pauses_the_rollout_until_it_is_retried(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path, "cp1", "w1", "w2") as cluster:
        cluster.nodes["w2"].fails = True
        begin(cluster, "cp1", "w1", "w2")
        cluster.go(lambda: cluster.rollout()["state"] == "paused")
        shown = cluster.rack.netboot("cluster", "rollout", "show")
        phases = wait_until(lambda: ((found := counters(cluster, "rollout_hosts"))['phase="failed"'] and found) or None)
        cluster.nodes["w2"].reinstalls()
        cluster.rack.netboot("cluster", "rollout", "retry", "w2")
        cluster.rack.netboot("cluster", "rollout", "resume")
        cluster.go(cluster.is_over)

        assert sum(phases.values()) == 3, phases
        assert "(1 host failed, and the failure budget is 0)" in shown
        assert "next: netboot cluster rollout retry w2, then netboot cluster rollout resume" in shown
        assert "the disk is broken" in shown
        assert set(cluster.phases().values()) == {"ready"}
        assert cluster.nodes["w1"].waited > 0


def test_a_key_that_ended_is_made_again_before_a_control_plane_gets_it(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path, "cp1", "cp2") as cluster:
        cluster.nodes["cp2"].is_off = True
        begin(cluster, "cp1", "cp2")
        cluster.go(lambda: phases_are(cluster, cp1="ready"))
        old = cluster.rack.directory / "ign" / "cp.ign"
        old.write_bytes(altered_join(cluster.ocne))
        os.utime(old, (time.time() - 3 * 3600,) * 2)
        cluster.nodes["cp2"].is_off = False
        cluster.go(cluster.is_over)

        key = (cluster.ocne / "certificate-key").read_text()
        assert set(cluster.phases().values()) == {"ready"}
        assert cluster.runs().count("join -n 1") == 1
        assert cluster.nodes["cp2"].role == old.read_bytes()
        assert key


def test_a_person_runs_what_no_command_does(tmp_path: Path):
    write_rollout_files(tmp_path, commands=("start", "join_worker"))
    with rollout_rack(tmp_path, "cp1", "w1") as cluster:
        plan = cluster.rack.netboot("cluster", "rollout", "--plan", "cp1", "w1")
        begin(cluster, "cp1", "w1")
        cluster.go(lambda: "run the command that it printed" in str(cluster.rollout()["next_command"]))
        [command] = cluster.rack.netboot("cluster", "rollout", "show", "--commands").splitlines()
        status = cluster.rack.netboot("cluster", "status")
        token = command.rpartition(" ")[2]
        cluster.rack.netboot("cluster", "rollout", "confirm")
        cluster.go(cluster.is_over)

        assert "no BMC is declared for cp1, w1: a person powers these machines on" in plan
        assert command.startswith("kubeadm token create ")
        assert "next: run the command that it printed" in status
        assert set(cluster.phases().values()) == {"ready"}
        assert token not in cluster.rack.log
        assert token not in json.dumps(cluster.rollout())


def test_what_a_join_printed_for_a_person_is_removed_with_its_rollout(tmp_path: Path):
    write_rollout_files(tmp_path, commands=("start", "join_worker"))
    printed = tmp_path / "ign" / "w.ign.printed"
    with rollout_rack(tmp_path, "cp1", "w1") as cluster:
        begin(cluster, "cp1", "w1")
        cluster.go(lambda: "run the command that it printed" in str(cluster.rollout()["next_command"]))
        assert printed.exists()

        cluster.rack.netboot("cluster", "rollout", "cancel", "--reason", "another day")

        wait_until(lambda: not printed.exists() or None)
        wait_until(lambda: not printed.with_name("w.ign.printed.commands").exists() or None)


def test_a_cancelled_host_does_not_join_and_a_new_rollout_takes_it(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path, "cp1", "w1") as cluster:
        begin(cluster, "cp1", "w1")
        cluster.go(lambda: cluster.nodes["w1"].waited > 1)
        cluster.rack.netboot("cluster", "rollout", "cancel", "w1", "--reason", "another day")
        cluster.go(cluster.is_over)
        waited = cluster.nodes["w1"].waited
        cluster.go(lambda: cluster.nodes["w1"].waited > waited + 2)
        assert not cluster.nodes["w1"].is_ready

        begin(cluster, "w1")
        cluster.go(cluster.is_over)

        assert cluster.phases() == {"w1": "ready"}
        armed = [move["what"] for move in cluster.rack.api("/api/v1/hosts/w1/history")].count("armed")
        assert armed == 1, "its disk was not written again"


def test_a_node_is_replaced(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path, "cp1", "w1") as cluster:
        begin(cluster, "cp1", "w1")
        cluster.go(cluster.is_over)
        shown = cluster.rack.netboot("cluster", "rollout", "--replace", "w1")
        assert cluster.rollout()["id"] == 1
        cluster.nodes["w1"].reinstalls()
        begin(cluster, "--replace", "w1", "--run")
        cluster.go(cluster.is_over)

        assert [line.split()[1] for line in shown.splitlines() if line[2:3] == ":"][:3] == ["drain", "reset", "delete"]
        assert cluster.runs()[-3:] == ["drain w1", "reset w1", "delete w1"]
        assert cluster.nodes["w1"].is_ready


def test_what_cannot_begin_is_refused_with_every_reason(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path) as cluster:
        without_init = cluster.rack.netboot("cluster", "rollout", "w1", "--yes", status=1)
        replaced = cluster.rack.netboot("cluster", "rollout", "--replace", "cp1", "--run", "--yes", status=1)
        begin(cluster)
        second = cluster.rack.netboot("cluster", "rollout", "--yes", status=1)

        assert "cp1, which starts the cluster, is not ready; add it to the rollout" in without_init
        assert "cp1 is cluster.init and would start another cluster" in replaced
        assert "rollout 1 is active, and there is one at a time" in second


def test_a_rollout_is_watched_to_its_end(tmp_path: Path):
    write_rollout_files(tmp_path)
    with rollout_rack(tmp_path) as cluster:
        begin(cluster, "cp1", "--no-power")
        command = cluster.rack.command("--config", str(cluster.rack.config), "cluster", "rollout", "show", "--watch")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
            seen = []
            for line in watching.stdout:
                seen.append(line.rstrip())
                if line.startswith("next: cp1: power the machine on"):
                    cluster.rack.netboot("cluster", "rollout", "cancel", "--reason", "another day")
            ended = watching.wait(60)

        assert ended == 1, "no host is ready"
        assert (
            "cp1  needs-person: power the machine on and let it boot from the network once (often F12 at its start)"
            in [line[10:] for line in seen]
        )
        assert (seen[-2][10:], seen[-1]) == ("cp1  cancelled: another day", "rollout 1 is cancelled")
        assert [line[10:] for line in seen].count("cp1  cancelled: another day") == 1


def altered_join(state: Path) -> bytes:
    """Return the file of a control plane of this cluster, with another key."""
    join = [sys.executable, str(STAND_IN), str(state / "other"), "cluster", "join", "-n", "1"]
    (state / "other").mkdir()
    for name in ("ca.pem", "ca.key"):
        shutil.copy(state / name, state / "other" / name)
    return subprocess.run(join, capture_output=True, check=True, timeout=60, stdin=subprocess.DEVNULL).stdout

"""A rollout whose machines are off until their BMCs start them, by sushy-tools' emulator, a Redfish service of others.

The daemon is killed while a BMC executes its order, and while `ocne` runs; a machine fails; a certificate key ends
between the permit to join and the join.
"""

import hashlib
import os
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.daemon import wait_until
from fixtures.redfish_emulator import HeldReset
from fixtures.rollout_rack import RolloutRack, powered_rack

from netboot.boot.documents.role_files import read_record, record_path
from netboot.ignition.check import read_ignition
from netboot.ignition.role_file import role_file
from netboot.model.host.role_ignition import LIFETIMES, SecretKind
from netboot.operate.rollout.decision.observed import MARGIN

pytestmark = [pytest.mark.integration, pytest.mark.proof]

EVERY: Final = ("cp1", "cp2", "cp3", "w1", "w2")
STAGE_S: Final = 240.0  # generous: a busy computer is many times slower
REMAINING: Final = timedelta(seconds=30)  # of a permit, once its file is old
DONE: Final = ["requested", "sent", "ended done"]
KILLED: Final = ["requested", "sent", "failed unknown"]


def test_blank_machines_are_powered_and_become_a_cluster(tmp_path: Path):
    with powered_rack(tmp_path, *EVERY) as cluster:
        cluster.is_api_held = True
        cluster.nodes["w2"].fails = True
        killed_while_cp2_starts(cluster, "--max-parallel", "2")
        go(cluster, lambda: cluster.rollout()["state"] == "paused")
        shown = cluster.rack.netboot("cluster", "rollout", "show")
        cluster.rack.netboot("cluster", "rollout", "retry", "w2")
        cluster.rack.netboot("cluster", "rollout", "resume")
        cluster.is_api_held = False
        refused = key_ends_before_a_control_plane_uses_it(cluster)
        go(cluster, cluster.is_over)

        assert "(1 host failed, and the failure budget is 0)" in shown
        assert set(cluster.phases().values()) == {"ready"}
        assert refused == [("joining", "installed", "the secrets of its file ended before it fetched it")]
        assert power_audit(cluster) == {
            **{f"rollout-1-1-{name}": DONE for name in ("cp1", "cp3", "w1", "w2")},
            "rollout-1-1-cp2": KILLED,
            "rollout-1-2-w2": DONE,
        }
        assert starts(cluster) == {"cp1": 1, "cp2": 1, "cp3": 1, "w1": 1, "w2": 2}


def test_a_person_presses_the_button_of_a_machine_without_a_bmc(tmp_path: Path):
    with powered_rack(tmp_path, *EVERY, without_bmc=("w1",)) as cluster:
        cluster.is_api_held = True
        cluster.nodes["w2"].fails = True
        killed_while_cp2_starts(cluster, "--max-parallel", "2", "--failure-budget", "1")
        go(cluster, lambda: cluster.phases()["w1"] == "needs-person")
        shown = cluster.rack.netboot("cluster", "rollout", "show")
        cluster.nodes["w1"].is_off = False
        cluster.is_api_held = False
        refused = key_ends_before_a_control_plane_uses_it(cluster)
        go(cluster, cluster.is_over)

        assert "power the machine on and let it boot from the network once (often F12 at its start)" in shown
        assert cluster.phases() == {**dict.fromkeys(EVERY, "ready"), "w2": "failed"}
        assert cluster.rollout()["state"] == "ended"
        assert [move[:2] for move in refused] == [("joining", "installed")]
        assert power_audit(cluster) == {
            **{f"rollout-1-1-{name}": DONE for name in ("cp1", "cp3", "w2")},
            "rollout-1-1-cp2": KILLED,
        }
        assert starts(cluster) == {"cp1": 1, "cp2": 1, "cp3": 1, "w1": 0, "w2": 1}


def go(cluster: RolloutRack, until: Any) -> None:
    cluster.go(until, timeout_s=STAGE_S)


def killed_while_cp2_starts(cluster: RolloutRack, *options: str) -> None:
    """Begin a rollout; kill the daemon while the BMC of cp2 executes the reset, that of cp1 has, and no other does."""
    bmc = cluster.nodes["cp2"].bmc
    assert bmc is not None
    bmc.on_reset = held = HeldReset()
    cluster.nodes["cp1"].is_hung = True
    cluster.rack.netboot("cluster", "rollout", *EVERY, *options, "--yes")
    go(cluster, lambda: held.has_come.is_set() and is_powered(cluster, "cp1"))
    cluster.rack.kill()
    held.may_end.set()
    bmc.on_reset = None
    cluster.nodes["cp1"].is_hung = False
    cluster.rack.start()


def is_powered(cluster: RolloutRack, name: str) -> bool:
    """Return whether the audit trail has the end of a machine's power action: it is stored a moment after the end."""
    events = cluster.rack.api("/api/v1/activity?event=power.ended&limit=100")
    return any(event["host"] == name for event in events)


def key_ends_before_a_control_plane_uses_it(cluster: RolloutRack) -> list[tuple[str, str, str]]:
    """Let the second control plane hang until its permit ends; kill the daemon while `ocne` makes another key.

    Return the moves of that host back to the gate.
    """
    go(cluster, lambda: joining(cluster))
    first, second = ("cp2", "cp3") if joining(cluster) == "cp2" else ("cp3", "cp2")
    cluster.nodes[first].is_hung = True
    go(cluster, lambda: cluster.nodes[second].waited > 0)
    cluster.nodes[second].is_hung = True
    let_the_key_end_soon(cluster.rack.directory / "ign" / "cp.ign")
    cluster.nodes[first].is_hung = False
    go(cluster, lambda: cluster.phases()[first] == "ready")
    made = (cluster.ocne / "certificate-key").read_text()
    (cluster.ocne / "slow").write_text("3")
    go(cluster, lambda: cluster.runs().count("join -n 1") == 2)
    cluster.rack.kill()
    (cluster.ocne / "slow").unlink()
    cluster.rack.start()
    cluster.nodes[second].is_hung = False
    go(cluster, lambda: cluster.nodes[second].is_ready)

    key = (cluster.ocne / "certificate-key").read_text()
    assert cluster.runs().count("join -n 1") == 3, "the run that was killed is repeated, and no other"
    assert (key_of(cluster, first), key_of(cluster, second)) == (digest_of(made), digest_of(key))
    assert made != key
    return [
        (event["data"]["from"], event["data"]["to"], event["data"]["reason"])
        for event in cluster.rack.api("/api/v1/activity?event=rollout.host_moved&limit=100")
        if event["host"] == second and event["data"]["to"] == "installed" and event["data"]["from"] == "joining"
    ]


def joining(cluster: RolloutRack) -> str | None:
    """Return the control plane that joins first."""
    phases = cluster.phases()
    return next((name for name in ("cp2", "cp3") if phases[name] in ("joining", "ready")), None)


def key_of(cluster: RolloutRack, name: str) -> bytes:
    """Return the SHA-256 of the certificate key with which a machine joined."""
    role = cluster.nodes[name].role
    assert role is not None
    return role_file(read_ignition(role)).secrets[SecretKind.CERTIFICATE_KEY]


def digest_of(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def let_the_key_end_soon(file: Path) -> None:
    """Let the appliance have taken a file so long ago that a host may fetch it for `REMAINING` only."""
    record = read_record(file)
    assert record is not None
    since = datetime.now(UTC) - LIFETIMES[SecretKind.CERTIFICATE_KEY] + MARGIN + REMAINING
    os.utime(file, (since.timestamp(),) * 2)
    draft = file.with_name(".record")
    draft.write_text(replace(record, since=dict.fromkeys(record.since, since)).as_text())
    draft.replace(record_path(file))


def power_audit(cluster: RolloutRack) -> dict[str, list[str]]:
    """Read the audit trail of the machines' power, by intent; each event was caused by the rollout's operator."""

    def read() -> dict[str, list[str]] | None:
        found: dict[str, list[str]] = defaultdict(list)
        for event in reversed(cluster.rack.api("/api/v1/activity?event=power.*&limit=100")):
            data = event["data"]
            assert (data["action"], data["network_boot"], data["actor"], data["source"]) == (
                "pxe",
                "pxe",
                "uid 0",
                "rollout",
            )
            what = event["event"].removeprefix("power.")
            found[data["intent"]].append(" ".join([what, data.get("outcome") or ""]).strip())
        return dict(found) if all(len(events) >= 3 for events in found.values()) else None

    return wait_until(read)


def starts(cluster: RolloutRack) -> dict[str, int]:
    """Count what each BMC was sent: a machine that is off is switched on, and boots from the network."""
    found = {}
    for name, node in cluster.nodes.items():
        found[name] = len(node.bmc.resets) if node.bmc is not None else 0
        if node.bmc is not None:
            assert (node.bmc.resets, node.bmc.boots) == (["On"] * found[name], ["Pxe"] * found[name])
    return found

"""A whole rollout by a daemon, with machines without hardware, a stand-in for `ocne`, and a server as the API."""

import json
from pathlib import Path

import pytest
from fixtures.rollout_rack import rollout_rack, write_rollout_files

pytestmark = pytest.mark.integration

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

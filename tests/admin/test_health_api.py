"""`/healthz` and `/readyz` of the administration, on the whole appliance in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    shared, directory = tmp_path / "shared", tmp_path / "box"
    shared.mkdir()
    directory.mkdir()
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def statuses(box: Appliance) -> tuple[int, int]:
    """Request both, as they are a moment later."""
    box.advance(2)
    return (box.administration("GET", "/healthz").status, box.administration("GET", "/readyz").status)


def test_files_with_a_fault_are_served_but_not_ready_and_a_store_that_fails_is_neither(appliance: Appliance):
    sound = statuses(appliance)
    appliance.edit_hosts("hosts: [")
    appliance.reload()
    rejected = statuses(appliance)
    appliance.edit_hosts(AT_FIRST.text())
    appliance.reload()
    with appliance.failing_store("events"):
        appliance.arm("w1")  # its event cannot be written
        failing = statuses(appliance)

    assert (sound, rejected, failing) == ((200, 200), (200, 503), (503, 503))


def test_the_parts_and_their_reasons_are_named(appliance: Appliance):
    appliance.edit_hosts("hosts: [")
    appliance.reload()

    response = appliance.administration("GET", "/readyz")

    found = response.json()
    assert (found["status"], response.headers["cache-control"]) == ("degraded", "no-store")
    assert found["parts"][:2] == [
        {"part": "store", "name": "", "state": "ok", "reasons": []},
        {"part": "content", "name": "", "state": "ok", "reasons": []},
    ]
    (rejected,) = [part for part in found["parts"] if part["state"] != "ok"]
    assert (rejected["part"], len(rejected["reasons"])) == ("configuration", 1)
    assert "hosts.yaml:1:" in rejected["reasons"][0]

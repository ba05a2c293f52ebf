"""An installed node reports to a daemon, and so do machines that must not; the board shows what is known."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fixtures.files import SETTINGS, write_boot_files, write_files
from fixtures.rack import Machine, Rack, running, token_in

pytestmark = pytest.mark.integration

COMMIT, OTHER = "ab" * 32, "cd" * 32
BODY = f"booted {COMMIT}\nbooted_version 1.33.1\ntag 1.33\nregistry 192.0.2.1:8080/olcne/ock-ostree\nupdater active\n"


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    directory = write_files(tmp_path, settings=SETTINGS + "updates: {registry: true, report: true}\n")
    write_boot_files(directory / "boot")
    with running(directory) as rack:
        yield rack


def installed(rack: Rack) -> tuple[Machine, str]:
    """Install cp1 as its machine does; return it and the token of its node."""
    rack.netboot("install", "arm", "cp1", "--force")
    cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    report, ignition = token_in(kickstart, "report"), token_in(kickstart, "ign")
    cp1.report(report, "started")
    cp1.report(report, "done")
    cp1.get(f"/ign/{ignition}")
    overlay = unquote(cp1.get(f"/ign/{ignition}/overlay").body)
    cp1.report(report, "ready")
    return cp1, token_in(overlay, "node")


def post(machine: Machine, token: str, body: str | bytes = BODY) -> int:
    return machine.post(f"/node/{token}", body if isinstance(body, bytes) else body.encode())


def board(rack: Rack) -> dict[str, Any]:
    found = json.loads(rack.netboot("updates", "--json"))
    assert isinstance(found, dict)
    return {node["host"]: node for node in found["nodes"]}


def test_a_node_reports_and_the_board_shows_it(rack: Rack):
    cp1, token = installed(rack)
    before = board(rack)["cp1"]

    assert post(cp1, token) == 200

    after = board(rack)["cp1"]
    assert (before["is_since_install"], before["reported_at"]) == (True, None)
    assert before["runs"]["release"] == "ock-1.31-amd64"
    assert (after["runs"]["commit"], after["runs"]["version"], after["tag"]) == (COMMIT, "1.33.1", "1.33")
    assert (after["is_since_install"], after["reported_at"] is not None) == (False, True)
    assert post(cp1, token) == 429


def test_reports_that_must_not_be_taken_store_nothing(rack: Rack):
    cp1, token = installed(rack)
    other = rack.machine("52:54:00:99:99:99", "192.0.2.60")
    other.boots()

    assert post(other, token) == 403
    assert post(cp1, "0" * 32) == 404
    assert post(cp1, "x") == 404
    assert post(cp1, token, b"") == 400
    assert post(cp1, token, b"\xff" * 100) == 400
    assert post(cp1, token, f"booted {COMMIT}\nbooted {OTHER}\n") == 400
    assert post(cp1, token, "booted x\n") == 400
    assert post(cp1, token, BODY + f"root {COMMIT}\n") == 400
    assert post(cp1, token, b"a" * 5000) == 413
    assert cp1.get(f"/node/{token}").status == 405
    assert board(rack)["cp1"]["reported_at"] is None
    assert token not in rack.log
    assert "boot.alarm_raised" in rack.log


def test_a_thousand_reports_are_few_rows_and_few_events(rack: Rack):
    cp1, token = installed(rack)

    statuses = [post(cp1, token, f"booted {number:064x}\n") for number in range(1000)]

    assert statuses[0] == 200
    assert set(statuses) == {200, 429}
    assert rack.log.count("update.reported") <= 10


def test_a_host_that_was_removed_reports_nothing_also_if_it_is_declared_again(rack: Rack):
    cp1, token = installed(rack)
    assert post(cp1, token) == 200

    hosts = rack.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("init: cp1}", "init: cp9}").replace("  cp1: {", "  cp9: {"))
    rack.netboot("reload")
    assert post(cp1, token) == 404

    hosts.write_text(hosts.read_text().replace("cp9", "cp1"))
    rack.netboot("reload")
    assert post(cp1, token) == 404

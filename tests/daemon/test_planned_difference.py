"""`netboot plan --diff` against a daemon that served a machine: before and after a restart, and after an edit."""

import json

import pytest
from fixtures.rack import Rack, token_in

pytestmark = pytest.mark.integration

SERVED = {"script", "kickstart", "overlay", "role"}


def install(rack: Rack) -> None:
    cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    for event in ("started", "done"):
        cp1.report(token_in(kickstart, "report"), event)
    ignition = cp1.get(f"/ign/{token_in(kickstart, 'ign')}")
    for child in json.loads(ignition.body)["ignition"]["config"]["merge"]:
        cp1.get(child["source"])


def differing(rack: Rack, *, status: int) -> set[str]:
    found = json.loads(rack.netboot("plan", "cp1", "--diff", "--json", status=status))["cp1"]
    assert {each["document"] for each in found} == SERVED
    return {each["document"] for each in found if each["differs"]}


def test_what_was_served_is_compared_with_the_files_of_now_also_after_a_restart(rack: Rack):
    install(rack)

    assert differing(rack, status=0) == set()

    rack.kill()
    rack.start()
    assert differing(rack, status=0) == set()

    hosts = rack.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("  cp1: {", "  cp1: {hostname: node1, "))
    assert differing(rack, status=1) == {"kickstart", "overlay"}

    stored = json.dumps(rack.api("/api/v1/hosts/cp1/served"))
    assert "PRIVATE KEY" not in stored
    assert stored.count("TOKEN-HIDDEN") >= 3

"""`netboot doctor` on the computer of a daemon: nothing on a healthy one, and a firewall that a cure opens."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.rack import Rack, running

pytestmark = pytest.mark.integration
CLOSED = """\
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state established,related accept
        tcp dport 22 accept
    }
}
"""


@pytest.fixture
def box(rack_directory: Path) -> Iterator[Rack]:
    """An appliance whose daemon does not run."""
    with running(rack_directory, starts=False) as rack:
        yield rack


def problems(rack: Rack, *, status: int = 0) -> list[dict[str, Any]]:
    report = json.loads(rack.netboot("doctor", "--area", "box", "--json", status=status))
    [area] = report["areas"]
    assert area["not_checked"] == {}
    return [finding for finding in area["findings"] if finding["level"] == "problem"]


def run_there(rack: Rack, *command: str, text: str | None = None) -> None:
    prefix = ["ip", "netns", "exec", rack.lan.server]
    subprocess.run([*prefix, *command], input=text, text=True, check=True, capture_output=True, timeout=20)


def test_a_healthy_box_has_no_problem_before_the_start_and_while_the_daemon_runs(box: Rack):
    assert problems(box) == []
    box.start()
    assert problems(box) == []


def test_a_closed_firewall_is_a_problem_and_its_cure_opens_it(box: Rack):
    run_there(box, "nft", "-f", "-", text=CLOSED)

    [found] = problems(box, status=1)

    assert found["check"] == "box.firewall"
    assert "DHCP requests (UDP 67)" in found["sentence"]
    run_there(box, "sh", "-ec", found["cure"].partition("; add the rules")[0])
    assert problems(box) == []

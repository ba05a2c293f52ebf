"""How soon one appliance has in memory what another one changed: within a second, and normally in milliseconds.

That is the work of notifications: a change that only a poll, which is made once a second, brings does not count.
"""

import statistics
import time
from pathlib import Path
from typing import Final

import pytest
from fixtures.appliances import Box, two_boxes
from postgresql import Server

pytestmark = pytest.mark.integration

CHANGES: Final = 40
LONGEST_S: Final = 1.0


def hosts_in_memory(box: Box, *, is_armed: bool) -> bool:
    """Return whether the appliance has its host armed, or not, in the memory that its offers are made from."""
    gauge = f'netboot_hosts{{armed="{str(is_armed).lower()}",state="registered"}} 1.0'
    return gauge.encode() in box.api_text("/metrics")


def noted(box: Box, by: str) -> int:
    """Return how often the appliance learned by notification, or by a poll, that another one changed something."""
    name = f'netboot_store_changes_total{{by="{by}"}} '
    lines = box.api_text("/metrics").decode().splitlines()
    return next((int(float(line.removeprefix(name))) for line in lines if line.startswith(name)), 0)


def test_a_change_of_one_appliance_is_in_the_memory_of_the_other_within_a_second(
    tmp_path: Path, postgresql_server: Server
):
    took_s, unpolled = [], 0
    with two_boxes(tmp_path, postgresql_server.new_database()) as (first, second):
        for box in (first, second):
            box.start()
        for number in range(CHANGES):
            is_armed = number % 2 == 0
            action, body = ("arm", '{"force": true}') if is_armed else ("cancel", "{}")
            json = ["--fail", "-X", "POST", "-H", "Content-Type: application/json", "-d", body]
            notified, polled = noted(second, "notification"), noted(second, "poll")
            first.api_text(f"/api/v1/hosts/w1/{action}", *json)
            began_s = time.monotonic()
            while not hosts_in_memory(second, is_armed=is_armed):
                assert time.monotonic() - began_s < LONGEST_S
            took_s.append(time.monotonic() - began_s)
            assert noted(second, "notification") > notified
            unpolled += noted(second, "poll") == polled  # on a busy computer an answer of the server may be late

    assert statistics.median(took_s) < LONGEST_S / 4
    assert unpolled > CHANGES / 2

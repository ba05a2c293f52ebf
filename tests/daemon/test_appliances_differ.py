"""Two appliances compare what they declare: a difference is an alarm, and ends no arming that the other one made."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fixtures.appliances import Box, two_boxes
from fixtures.daemon import START_S, wait_until
from postgresql import Server

pytestmark = pytest.mark.integration

HOSTS = "hosts: {w1: {role: worker, mac: 52:54:00:12:34:56, disk: /dev/vda}}\n"
WITH_W2 = """\
# a comment
hosts:
  w2: {mac: 52:54:00:12:34:57, role: worker}
  w1: {role: worker, mac: 52:54:00:12:34:56, disk: /dev/vda}
"""
COPIED = """\
hosts:
  w1: {mac: 52:54:00:12:34:56, disk: /dev/vda, role: worker}
  w2: {role: worker, mac: 52:54:00:12:34:57}
"""
OTHER_DISK = HOSTS.replace("vda", "vdb")


@pytest.fixture
def boxes(tmp_path: Path, postgresql_server: Server) -> Iterator[tuple[Box, Box]]:
    with two_boxes(tmp_path, postgresql_server.new_database()) as made:
        for box in made:
            box.write_hosts(HOSTS)
            box.start()
        yield made


def states(box: Box) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = box.api("/api/v1/status")["appliances"]
    return found


def differing(box: Box) -> list[str] | None:
    return [each for each in box.api("/api/v1/status")["problems"] if " differ: " in each] or None


def wait_for_event(box: Box, event: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        events = box.api(f"/api/v1/activity?event={event}")
        return events[0] if events else None

    return wait_until(found, timeout_s=START_S)


def test_another_host_set_raises_an_alarm_that_names_the_hosts_and_ends_when_it_is_copied(boxes: tuple[Box, Box]):
    first, second = boxes
    assert [(each["is_this"], each["is_lost"], each["differs"]) for each in states(first)] == [
        (True, False, {}),
        (False, False, {}),
    ]

    first.write_hosts(WITH_W2)
    first.netboot("reload")

    raised = wait_for_event(second, "appliance.hosts_differ")
    assert raised["data"]["differs"] == "w2"
    for box in boxes:
        (problem,) = wait_until(partial(differing, box), timeout_s=START_S)
        assert problem.startswith("the hosts files here and on appliance ")
        assert " differ: w2; copy the hosts files " in problem
        assert [each["differs"] for each in states(box)] == [{}, {"hosts": ["w2"]}]
        listed = box.netboot("appliances").splitlines()
        assert listed[2].endswith("\thosts: w2")
        assert f"warning: {problem}" in listed

    second.write_hosts(COPIED)
    second.netboot("reload")

    assert wait_for_event(first, "appliance.difference_ended")["data"]["part"] == "hosts"
    for box in boxes:
        assert differing(box) is None


def test_an_arming_whose_host_changed_ends_only_when_the_files_of_both_say_so(boxes: tuple[Box, Box]):
    first, second = boxes
    first.netboot("install", "arm", "w1", "--force")

    first.write_hosts(OTHER_DISK)
    reloaded = json.loads(first.netboot("reload", "--json"))
    second.netboot("reload")

    assert reloaded["armings_ended"] == []
    assert first.api("/api/v1/hosts/w1")["install"]["armed"]

    second.write_hosts(OTHER_DISK)
    second.netboot("reload")

    wait_until(lambda: not first.api("/api/v1/hosts/w1")["install"]["armed"] or None)
    assert "disk" in wait_for_event(first, "install.arming_ended")["data"]["note"]


def test_another_key_of_the_store_is_an_alarm_with_its_cure(boxes: tuple[Box, Box], tmp_path: Path):
    first, second = boxes
    (tmp_path / "other.key").write_bytes(bytes(32))
    (tmp_path / "other.key").chmod(0o600)
    second.kill()
    second.config.write_text(second.config.read_text().replace("store.key", "other.key"))

    second.start()

    assert wait_for_event(first, "appliance.key_differ")["data"]["differs"] == "the key"
    (problem,) = [each for each in first.api("/api/v1/status")["problems"] if "key" in each]
    assert problem.startswith("the key of the store here is not the one of appliance ")
    assert problem.endswith(
        "; copy store.key from the one that armed last to the other, then restart netboot on that one; until then "
        "their hosts are not compared, and no arming ends because its host changed"
    )


def test_one_that_is_killed_is_lost_and_one_that_is_stopped_has_left(boxes: tuple[Box, Box]):
    first, second = boxes

    second.kill()

    assert wait_for_event(first, "appliance.lost")["data"]["version"] == states(first)[0]["version"]
    assert [each["is_lost"] for each in states(first)] == [False, True]
    (warning,) = first.api("/api/v1/status")["warnings"]
    assert " gives no sign of life for " in warning

    second.start()
    wait_until(lambda: [each["is_lost"] for each in states(first)] == [False, False] or None)
    second.stop_cleanly()
    wait_for_event(first, "appliance.left")
    assert len(states(first)) == 1

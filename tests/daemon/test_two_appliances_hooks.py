"""Two appliances on one PostgreSQL with one hook: each event is delivered once, also if one of them is killed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.appliances import Box, two_boxes
from fixtures.daemon import wait_until
from fixtures.hook_receiver import Receiver, receiving
from postgresql import Server

pytestmark = pytest.mark.integration

HOSTS = [f"w{number}" for number in range(1, 9)]
DECLARED = [f"  {host}: {{role: worker, mac: 52:54:00:12:35:0{number}}}" for number, host in enumerate(HOSTS)]
HOOK = "hooks: [{{name: pager, url: 'http://127.0.0.1:{port}/', events: [install.moved], timeout_s: {timeout_s}}}]\n"
CLAIM_ENDS_S = 30.0  # 16 s after the attempt of the one that was killed


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def boxes(tmp_path: Path, postgresql_server: Server, receiver: Receiver) -> Iterator[tuple[Box, Box]]:
    with two_boxes(tmp_path, postgresql_server.new_database()) as made:
        for box in made:
            box.write_hosts("\n".join(["hosts:", *DECLARED, ""]))
            with box.config.open("a") as settings:
                settings.write(HOOK.format(port=receiver.port, timeout_s=1))
        yield made


def arm(box: Box, *hosts: str) -> None:
    box.api("/api/v1/installs/arm", "-d", json.dumps({"hosts": hosts, "force": True}))


def cancel(box: Box, host: str) -> None:
    box.api(f"/api/v1/hosts/{host}/cancel", "-X", "POST")


def waiting(box: Box) -> int:
    (hook,) = box.api("/api/v1/hooks")
    return int(hook["waiting"])


def deliveries(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(body) for _, body in receiver.requests]


def test_each_event_of_both_is_delivered_once_and_those_of_a_host_in_their_order(
    boxes: tuple[Box, Box], receiver: Receiver
):
    for box in boxes:
        box.start()
    expected = dict.fromkeys(HOSTS, ["armed", "cancelled"] * 3)
    for number in range(3):
        arming, cancelling = boxes if number % 2 else boxes[::-1]
        for host in HOSTS:
            arm(arming, host)
            cancel(cancelling, host)

    receiver.has(6 * len(HOSTS))
    wait_until(lambda: waiting(boxes[0]) == 0 or None)

    found = deliveries(receiver)
    moved = boxes[0].api("/api/v1/activity?event=install.moved&limit=1000")
    assert sorted(each["id"] for each in found) == sorted(each["id"] for each in moved)
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == len(found)
    assert {host: [each["data"]["by"] for each in found if each["host"] == host] for host in HOSTS} == expected


def test_what_a_killed_appliance_was_about_to_deliver_the_other_one_delivers(
    boxes: tuple[Box, Box], receiver: Receiver
):
    first, second = boxes
    first.start()
    receiver.statuses.append(0)  # it never answers the first attempt
    arm(first, "w1")
    receiver.has(1)
    cancel(first, "w1")
    second.start()
    first.kill()

    wait_until(lambda: len(receiver.requests) >= 3 or None, timeout_s=CLAIM_ENDS_S)
    wait_until(lambda: waiting(second) == 0 or None)

    assert receiver.events == [("armed", "w1"), ("armed", "w1"), ("cancelled", "w1")]
    again = [headers["webhook-id"] for headers, _ in receiver.requests]
    assert again[0] == again[1] != again[2]


def test_an_event_of_a_command_is_delivered_at_once_by_an_appliance_elsewhere(
    boxes: tuple[Box, Box], receiver: Receiver
):
    first, second = boxes
    first.start()
    wait_until(lambda: waiting(first) == 0 or None)

    second.netboot("install", "arm", "w2", "--force")

    receiver.has(1)
    assert receiver.events == [("armed", "w2")]

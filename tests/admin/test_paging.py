"""Lists are filtered, and read in pages that are linked to each other, on the whole appliance in one process."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from safety import wire
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST, C

UNREGISTERED = [f"52:54:00:00:00:9{number}" for number in range(3)]


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """Three hosts, of which w1 is armed, and three unregistered machines."""
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    for number, mac in enumerate(reversed(UNREGISTERED)):
        box.dhcp(67, wire.discover(wire.UEFI, mac, number))
    assert box.arm("w1") == 200
    box.dhcp(67, wire.discover(wire.UEFI, C, 7))
    box.advance(1)
    yield box
    box.close()


def keys(answer: Any, key: str) -> list[str]:
    return [each[key] for each in answer]


@pytest.mark.parametrize(
    ("path", "key", "whole"),
    [
        ("/hosts", "name", ["cp1", "cp2", "w1"]),
        ("/machines", "mac", UNREGISTERED),
        ("/installs", "host", ["w1"]),
    ],
)
def test_pages_follow_their_links_to_the_end_and_have_each_entry_once(
    appliance: Appliance, path: str, key: str, whole: list[str]
):
    assert sorted(keys(appliance.api("GET", path).json(), key)) == whole
    found, path = [], f"{path}?limit=2"
    for _ in range(len(whole) // 2 + 1):
        response = appliance.api("GET", path)
        found += keys(response.json(), key)
        link = re.fullmatch('</api/v1(/.*)>; rel="next"', response.headers.get("link", ""))
        if link is None:
            break
        path = link[1]

    assert found == whole
    assert "link" not in response.headers


def test_a_page_goes_on_after_an_entry_that_is_no_longer_there(appliance: Appliance):
    response = appliance.api("GET", "/hosts?after=cp10&limit=1")

    assert keys(response.json(), "name") == ["cp2"]
    assert response.headers["link"] == '</api/v1/hosts?after=cp2&limit=1>; rel="next"'


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ("/hosts?armed=1", "name", ["w1"]),
        ("/hosts?armed=0&state=registered", "name", ["cp1", "cp2"]),
        ("/hosts?state=ready", "name", []),
        ("/hosts?role=control-plane&limit=1", "name", ["cp1"]),
        ("/hosts?group=none", "name", []),
        ("/hosts?q=W", "name", ["w1"]),
        (f"/hosts?q={C[-5:]}", "name", ["w1"]),
        ("/machines?q=00:91", "mac", [UNREGISTERED[1]]),
        ("/machines?inspected=1", "mac", []),
        ("/machines?inspected=0&limit=1", "mac", [UNREGISTERED[0]]),
        ("/installs?armed=1&declared=1", "host", ["w1"]),
        ("/installs?declared=0", "host", []),
        ("/boots?overdue=1", "mac", []),
        ("/installs/cp1/boots?end=ready", "mac", []),
        ("/installs/cp1/boots?limit=5&after=1", "mac", []),
    ],
)
def test_a_list_has_what_its_query_selects(appliance: Appliance, path: str, key: str, expected: list[str]):
    response = appliance.api("GET", path)

    assert (response.status, keys(response.json(), key)) == (200, expected)


def test_running_boots_are_selected_by_the_step_that_they_wait_for(appliance: Appliance):
    (boot, *_) = appliance.api("GET", "/boots").json()

    assert [each["mac"] for each in appliance.api("GET", f"/boots?waits_for={boot['waits_for']}").json()]
    assert appliance.api("GET", "/boots?waits_for=ready").json() == []


def test_events_are_selected_by_their_names_and_end_after_a_number(appliance: Appliance):
    appliance.advance(5)
    response = appliance.api("GET", "/events?follow=0&event=install.moved&event=boot.offered&limit=2")

    events = [json.loads(line[6:]) for line in response.body.decode().splitlines() if line.startswith("data: ")]
    assert len(events) == 2
    assert {event["event"] for event in events} <= {"install.moved", "boot.offered"}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/hosts?limit=0", "limit is a whole number from 1 to 1000: at most so many"),
        ("/hosts?limit=x", "limit is a whole number from 1 to 1000: at most so many"),
        ("/hosts?limit=1&limit=2", "limit is given 2 times; once is possible"),
        ("/hosts?rol=worker", "no such key rol; known here: limit, after, role, label, group, state, armed, q"),
        ("/hosts?armed=perhaps", "armed is 0 or 1: whether it is armed"),
        ("/installs/cp1/boots?after=x", "after is the key of the last entry of the page before"),
        ("/events?follow=0&limit=0", "limit is a whole number from 1 on: it ends after so many events"),
    ],
)
def test_a_query_with_a_wrong_value_is_refused_with_its_name(appliance: Appliance, path: str, error: str):
    response = appliance.api("GET", path)

    assert (response.status, response.json()["error"]) == (400, error)

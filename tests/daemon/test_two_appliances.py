"""Two appliances on one PostgreSQL: what one does is in the replies, memory and events of the other within a second.

Each has a LAN of its own, so that it is known which one answers.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest
from fixtures.appliances import write_two
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS
from fixtures.rack import Machine, Rack, running, token_in
from postgresql import Server
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

CP1, W1 = ("52:54:00:aa:bb:01", "192.0.2.50"), ("52:54:00:12:34:56", "192.0.2.51")
SOON_S = 3.0  # of commands and packets on a busy computer; test_appliances_latency.py verifies the second
T = TypeVar("T")


@pytest.fixture
def racks(tmp_path: Path, postgresql_server: Server) -> Iterator[tuple[Rack, Rack]]:
    directories = write_two(tmp_path, postgresql_server.new_database(), SETTINGS)
    with running(directories[0]) as first, running(directories[1]) as second:
        yield first, second


def soon(found: Callable[[], T | None], what: str) -> T:
    """Return what is found, and fail if that takes longer than `SOON_S`."""
    began_s = time.monotonic()
    result = wait_until(found)
    assert time.monotonic() - began_s < SOON_S, what
    return result


def offered_file(machine: Machine) -> bytes:
    offer = machine.discover()
    assert offer is not None
    return bytes(offer[BOOTP].file.rstrip(b"\0"))


def newest_id(rack: Rack) -> int:
    found = rack.api("/api/v1/activity?limit=1")
    return int(found[0]["id"]) if found else 0


@contextmanager
def following(rack: Rack, after: int) -> Iterator[IO[str]]:
    """Follow the events after an id, as the API sends them."""
    command = ["curl", "-sSN", "--max-time", "60", "--unix-socket", rack.directory / "control.sock"]
    url = f"http://localhost/api/v1/events?after={after}"
    with subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout is not None
        yield curl.stdout
        curl.kill()


def test_what_is_armed_and_cancelled_at_one_appliance_is_in_the_offers_of_the_other(racks: tuple[Rack, Rack]):
    first, second = racks
    machine = second.machine(*CP1)
    assert offered_file(machine) == b""

    first.netboot("install", "arm", "cp1")
    soon(lambda: offered_file(machine) == b"snponly.efi" or None, "the loader is offered")

    first.netboot("install", "cancel", "cp1")
    soon(lambda: offered_file(machine) == b"" or None, "the disk is offered")


def test_an_inspection_that_is_requested_at_one_appliance_is_in_the_offers_of_the_other(racks: tuple[Rack, Rack]):
    first, second = racks
    machine = second.machine(*W1)
    assert offered_file(machine) == b""

    first.netboot("host", "inspect", "w1")

    soon(lambda: offered_file(machine) == b"snponly.efi" or None, "the loader is offered")


def test_an_api_token_that_is_made_and_revoked_at_one_appliance_is_known_to_the_other(racks: tuple[Rack, Rack]):
    first, second = racks
    token = json.loads(first.run("token", "create", "ci", "--role", "read-only", "--json").stdout)["token"]

    def status() -> int:
        return second.curl_api("-H", f"Authorization: Bearer {token}", "/api/v1/hosts").status

    soon(lambda: status() == 200 or None, "the token is valid")
    first.netboot("token", "revoke", "ci")
    soon(lambda: status() == 401 or None, "the token is revoked")


def test_a_follower_of_one_appliance_gets_the_events_of_both_and_of_commands_each_once_in_order(
    racks: tuple[Rack, Rack],
):
    first, second = racks
    after = newest_id(first)
    with following(second, after) as stream:
        for _ in range(3):
            first.netboot("install", "arm", "cp1")
            second.netboot("install", "arm", "w1")
            first.netboot("install", "cancel", "cp1")
            second.netboot("install", "cancel", "w1")
        last = wait_until(lambda: newest_id(first) if newest_id(first) == newest_id(second) else None)

        followed = []
        while not followed or followed[-1] < last:
            line = stream.readline()
            if line.startswith("id: "):
                followed.append(int(line.removeprefix("id: ")))

    stored = [each["id"] for each in first.api("/api/v1/activity?limit=1000")]
    assert followed == [number for number in reversed(stored) if after < number <= last]
    assert len(followed) >= 12


def test_the_same_boot_gets_the_same_script_at_either_appliance_also_after_one_is_killed(racks: tuple[Rack, Rack]):
    first, second = racks
    at_first, at_second = first.machine(*CP1), second.machine(*CP1)
    first.netboot("install", "arm", "cp1")
    soon(lambda: offered_file(at_second) == b"snponly.efi" or None, "the loader is offered")
    for machine in (at_first, at_second):
        machine.boots(xid=0x7A11)  # what it broadcasts, both receive
    served = token_in(at_first.script(), "ks")

    scripts = [at_second.script(), at_first.script()]

    assert [token_in(script, "ks") for script in scripts] == [served, served]
    assert second.install("cp1")["arming"]["spent"] == 1
    first.kill()
    assert token_in(at_second.script(), "ks") == served
    assert at_second.get(f"/ks/{served}").status == 200

    at_second.boots(xid=0x7A21)
    assert token_in(at_second.script(), "ks") != served
    assert second.install("cp1")["arming"]["spent"] == 2


def test_a_boot_whose_packets_both_received_is_listed_once_at_either_with_the_steps_of_both(racks: tuple[Rack, Rack]):
    at_first, at_second = (rack.machine(*CP1) for rack in racks)
    racks[0].netboot("install", "arm", "cp1")
    soon(lambda: offered_file(at_second) == b"snponly.efi" or None, "the loader is offered")
    for machine in (at_first, at_second):
        machine.boots(xid=0x7A31)
    assert "inst.ks" in at_first.script()

    def led_to_its_installer() -> list[dict[str, Any]] | None:
        found = racks[1].api("/api/v1/installs/cp1/boots")
        return found if any(boot["plan"] == "install" for boot in found) else None

    (at_the_other,) = soon(led_to_its_installer, "the record of the first is stored")
    (boot,) = racks[0].api("/api/v1/installs/cp1/boots")
    assert [step["step"] for step in at_the_other["steps"]] == ["offer", "script"]
    assert at_the_other == boot

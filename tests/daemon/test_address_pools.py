"""Hosts keep the addresses of their pools over reloads, restarts and edits, and commands without a daemon have them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fixtures.daemon import Daemon

pytestmark = pytest.mark.integration

SETTINGS = """\
admin: {socket: control.sock, listen: 127.0.0.1:8471}
content: {directory: content, deltas: false}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
log: {format: json}
"""
POOL = "address_pools: {rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.42, gateway: 192.0.2.1}}\n"


class Box(Daemon):
    """An appliance without a LAN, whose hosts all take from one pool."""

    def declare(self, names: Sequence[str]) -> None:
        hosts = "".join(f"  {name}: {{role: worker, mac: 52:54:00:00:00:{name[1:]:0>2}}}\n" for name in names)
        (self.directory / "hosts.yaml").write_text(f"{POOL}defaults: {{network: {{pool: rack1}}}}\nhosts:\n{hosts}")

    def addresses(self) -> dict[str, str]:
        """Return the address of each host, as `netboot host list` has it."""
        listed = json.loads(self.run("host", "list", "--json").stdout)
        return {host["name"]: host["network"]["address"].removesuffix("/24") for host in listed}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    box.config.write_text(SETTINGS)
    box.declare(["w1", "w2"])
    yield box
    box.stop()


def test_addresses_survive_a_reload_with_other_hosts_a_crash_and_a_faulty_file(box: Box):
    box.start()
    first = box.addresses()
    box.declare(["w3", "w2"])
    box.netboot("reload")
    reloaded = box.addresses()
    box.kill()
    offline = box.addresses()
    (box.directory / "hosts.yaml").write_text("hosts: {w9: {role: wroker}}\n")
    box.start()
    box.wait_for("config.last_accepted_used")

    assert first == {"w1": "192.0.2.40", "w2": "192.0.2.41"}
    assert reloaded == offline == box.addresses() == {"w3": "192.0.2.42", "w2": "192.0.2.41"}
    assert [(line["count"], line["addresses"]) for line in box.lines("config.addresses_allocated")] == [
        (2, ["w1 192.0.2.40", "w2 192.0.2.41"]),
        (1, ["w3 192.0.2.42"]),
    ]


def test_the_address_of_a_removed_host_is_given_to_another_when_no_other_is_left(box: Box):
    box.start()
    box.declare(["w3", "w4", "w2"])

    box.netboot("reload")

    assert box.addresses() == {"w3": "192.0.2.42", "w4": "192.0.2.40", "w2": "192.0.2.41"}
    box.declare(["w1", "w2", "w3", "w4"])
    assert "hosts.w1.mac: the pool rack1 " in box.netboot("reload", status=2)
    assert box.addresses() == {"w3": "192.0.2.42", "w4": "192.0.2.40", "w2": "192.0.2.41"}


def test_a_host_that_a_command_adds_gets_an_address_and_no_host_gets_one_that_is_on_record(box: Box):
    (box.directory / "hosts.d").mkdir()
    box.start()
    box.declare(["w2"])
    box.netboot("reload")

    box.netboot("host", "add", "w5", "role=worker", "mac=52:54:00:00:00:55")
    added = box.addresses()
    taken = box.netboot("host", "set", "w5", "network.address=192.0.2.41/24", status=2)

    assert added == box.addresses() == {"w2": "192.0.2.41", "w5": "192.0.2.42"}
    assert "hosts.w5.network.address: 192.0.2.41 was allocated to w2 from the pool rack1; give w5 another" in taken


def test_the_address_of_a_retired_host_is_the_next_that_is_given(box: Box):
    (box.directory / "hosts.d").mkdir()
    box.start()
    add = ("host", "add", "w5", "role=worker")
    box.declare(["w1"])
    box.netboot("reload")
    box.netboot(*add, "mac=52:54:00:00:00:55")
    before = box.addresses()

    retired = box.netboot("host", "retire", "w5", "--yes")
    box.netboot("host", "add", "w6", "role=worker", "mac=52:54:00:00:00:56")

    assert f"other hosts can now be given {before['w5']}; power the machine off if it still has it" in retired
    assert box.addresses() == {"w1": before["w1"], "w6": before["w5"]}


def test_explain_and_plan_have_the_recorded_address_beside_the_daemon(box: Box):
    box.start()
    box.declare(["w2"])

    explained = json.loads(box.run("explain", "w2", "--json").stdout)
    planned = box.run("plan", "w2")

    [address] = [value for value in explained["values"] if value["key"] == "network.address"]
    assert address["value"] == "192.0.2.41/24"
    assert address["recorded_at"] is not None
    assert "note: " not in planned.stderr
    assert address["from"][0]["where"] == "address_pools.rack1.addresses"


def test_a_warning_of_a_hosts_file_is_logged_at_the_start_and_at_a_reload(box: Box):
    hosts = box.directory / "hosts.yaml"
    hosts.write_text("address_pools: {rack1: {subnet: 10.244.1.0/24, addresses: 10.244.1.40}}\n")
    box.start()

    reloaded = box.netboot("reload")

    warning = "address_pools.rack1.subnet: 10.244.1.0/24 overlaps the pod subnet 10.244.0.0/16 of ocne's default"
    assert [warning in line["problem"] for line in box.lines("config.value_questioned")] == [True, True]
    assert warning in reloaded

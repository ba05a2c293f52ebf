"""Hosts are added, patched, approved, removed and retired by the API, on the whole appliance in one process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.problems import without_rfc_members
from safety import wire
from safety.appliance import Appliance, link_shared
from safety.declared import AT_FIRST

UNREGISTERED, SECOND = "52:54:00:aa:00:98", "52:54:00:aa:00:99"
VALUES = {"role": "worker", "mac": "52:54:00:aa:00:97"}
REJECTED = (
    "a value is a text, a whole number of at most 18 digits, true, false, null, a list or an object, 8 deep at most"
)
BOTH = "hosts names the hosts, or role and labels select them; give one of the two"


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    """An appliance with a directory in which commands write hosts, and two unregistered machines."""
    link_shared(shared, tmp_path)
    (tmp_path / "hosts.d").mkdir()
    box = Appliance(tmp_path, AT_FIRST.text())
    config = tmp_path / "netboot.yaml"
    config.write_text(config.read_text().replace("files: [hosts.yaml]", "files: [hosts.yaml, hosts.d]"))
    for number, mac in enumerate((UNREGISTERED, SECOND)):
        box.dhcp(67, wire.discover(wire.UEFI, mac, number))
    yield box
    box.close()


def answer(box: Appliance, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = box.api(method, path, body)
    found = json.loads(response.body.decode().replace(f"{box.directory}/", ""))
    return response.status, without_rfc_members(found, response.status)


def names(box: Appliance) -> list[str]:
    return [host["name"] for host in answer(box, "GET", "/hosts")[1]]


def test_a_host_is_added_patched_and_removed_and_each_is_in_force_at_once(box: Appliance):
    added = answer(box, "POST", "/hosts", {"name": "w2", "values": {**VALUES, "labels": {"rack": "r1"}}})
    patched = answer(box, "PATCH", "/hosts/w2", {"disk": "/dev/vdb", "labels": None, "network": {"mtu": 9000}})
    shown = answer(box, "GET", "/hosts/w2")[1]
    removed = answer(box, "DELETE", "/hosts/w2?reason=gone")

    assert added[0] == 201
    assert added[1]["hosts"][0]["file"] == "hosts.d/w2.yaml"
    assert added[1]["hosts"][0]["text"].splitlines()[1:] == [
        "hosts:", "  w2:", "    role: worker", "    mac: 52:54:00:aa:00:97", "    labels:", "      rack: r1",
    ]  # fmt: skip
    assert (added[1]["reload"]["hosts"], added[1]["notes"], added[1]["machines"]) == (4, [], [])
    assert patched[0] == 200
    assert (shown["disk"], shown["network"]["mtu_bytes"], shown["labels"]) == ("/dev/vdb", 9000, {})
    assert (removed[0], removed[1]["hosts"]) == (200, [{"host": "w2", "file": "hosts.d/w2.yaml", "text": None}])
    assert names(box) == ["cp1", "cp2", "w1"]


def test_machines_are_shown_then_approved_together(box: Appliance):
    wanted = {"macs": [SECOND, UNREGISTERED], "role": "worker", "name": "node{n}", "groups": [], "pool": None}
    wanted |= {"disk": {"rotational": False, "choose": "smallest"}}

    shown = answer(box, "POST", "/machines/approve", {**wanted, "dry_run": True})
    before = names(box)
    approved = answer(box, "POST", "/machines/approve", wanted)

    assert (shown[0], shown[1]["is_rehearsal"], before) == (200, True, ["cp1", "cp2", "w1"])
    machines = approved[1]["machines"]
    assert [(each["host"], each["machine"]["mac"]) for each in machines] == [
        ("node1", SECOND), ("node2", UNREGISTERED),
    ]  # fmt: skip
    assert machines[0]["machine"].keys() >= {"arch", "vendor_class", "uuid", "first_seen", "last_seen", "addresses"}
    assert [(each["macs"], each["inspection"]) for each in machines] == [([], None)] * 2
    assert "choose: smallest" in approved[1]["hosts"][0]["text"]
    assert names(box) == ["cp1", "cp2", "w1", "node1", "node2"]
    assert answer(box, "GET", "/machines")[1] == []


def test_a_retired_host_is_no_longer_declared_and_is_audited_with_the_actor(box: Appliance):
    answer(box, "POST", "/hosts", {"name": "w2", "values": {**VALUES, "disk": "/dev/vda"}})
    assert answer(box, "POST", "/hosts/w2/arm", {"force": True})[0] == 200

    status, retired = answer(box, "POST", "/hosts/w2/retire", {"reason": "sold"})

    assert (status, retired["notes"][-1]) == (200, "w2 is retired; its disk was not wiped")
    install = answer(box, "GET", "/hosts/w2/install")[1]
    assert (install["armed"], install["declared"]) == (False, False)
    last = answer(box, "GET", "/hosts/w2/history")[1][-1]
    assert (last["what"], last["reason"], last["source"]) == ("retired", "sold", "api")
    assert answer(box, "POST", "/hosts/w2/retire")[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        *[
            ("POST", "/hosts", wrong, "name is a text, and values is an object of the host's keys")
            for wrong in ({}, {"name": 1, "values": {}}, {"name": "w2", "values": []})
        ],
        ("POST", "/hosts", {"name": "w2", "values": {"network": {"mtu": 1.5}}}, REJECTED),
        ("POST", "/hosts", {"name": "w2", "values": {"release": 10**18}}, REJECTED),
        ("PATCH", "/hosts/w1", {"labels": [[[[[[[[[]]]]]]]]]}, REJECTED),
        ("PATCH", "/hosts/w1", [], "the body is not a JSON object"),
        ("POST", "/hosts/w1/retire", {"force": "yes"}, "force is true or false"),
        ("POST", "/machines/approve", {"macs": "x"}, "macs is a list of texts"),
        ("POST", "/machines/approve", {"macs": ["x"], "role": "worker", "groups": [1]}, "groups is a list of texts"),
        *[
            (
                "POST", "/machines/approve", wrong,
                "macs is a list of MACs, one at least, and role is the role of the hosts",
            )
            for wrong in ({}, {"macs": [], "role": "worker"}, {"macs": ["x"]})
        ],
        ("POST", "/machines/approve", {"macs": ["x"], "role": 1}, "role, name, pool are texts"),
        (
            "POST", "/machines/approve", {"macs": ["x"], "role": "worker", "disk": ["x"]},
            "disk is a text, or an object as a host has it",
        ),
        ("POST", "/machines/approve", {"macs": ["x"], "role": "worker", "dry_run": 1}, "dry_run is true or false"),
        (
            "POST", "/machines/approve", {"macs": ["x"], "role": "worker", "dryrun": True},
            "no such key dryrun; known here: macs, addresses, groups, role, name, pool, disk, boot_card_only, dry_run",
        ),
        ("POST", "/hosts", {"host": "w2"}, "no such key host; known here: name, values"),
        ("POST", "/installs/arm", {"hosts": ["w1"], "role": "worker"}, BOTH),
        ("POST", "/installs/cancel", {"hosts": ["w1"], "labels": {"a": "b"}}, BOTH),
        ("POST", "/installs/cancel", {}, "hosts is a list of names, one at least"),
        ("POST", "/installs/arm", {"role": 1}, "role is a text, and labels is an object of texts"),
        ("POST", "/installs/arm", {"labels": {"a": 1}}, "role is a text, and labels is an object of texts"),
        ("GET", "/hosts?label=rack", None, "label is KEY=VALUE"),
    ],
)  # fmt: skip
def test_a_request_with_a_wrong_value_is_refused(box: Appliance, method: str, path: str, body: Any, error: str):
    assert answer(box, method, path, body) == (400, {"error": error, "code": "bad-request"})


def test_a_refusal_has_its_status_its_code_and_every_fault(box: Appliance):
    by_a_person = answer(box, "PATCH", "/hosts/w1", {"disk": None})
    faulty = answer(box, "POST", "/hosts", {"name": "w2", "values": {"rol": "worker", "mac": "52:54:00:aa:00:97"}})
    unknown = answer(box, "DELETE", "/hosts/w9")
    (box.directory / "hosts.d").rmdir()
    unwritable = answer(box, "POST", "/hosts", {"name": "w2", "values": VALUES})

    assert (by_a_person[0], by_a_person[1]["code"]) == (409, "host-not-changed")
    assert by_a_person[1]["error"].startswith("hosts.yaml:")
    assert (faulty[0], faulty[1]["code"]) == (422, "configuration-faulty")
    assert [fault["where"] for fault in faulty[1]["faults"]] == ["hosts.w2.rol"]
    assert (unknown[0], unknown[1]["code"]) == (404, "host-unknown")
    assert (unwritable[0], unwritable[1]["code"]) == (500, "hosts-not-writable")
    assert names(box) == ["cp1", "cp2", "w1"]


def test_hosts_are_listed_armed_and_cancelled_by_role_and_labels(box: Appliance):
    for name, number, rack in (("w2", 95, "r1"), ("w3", 96, "r2")):
        values = {"role": "worker", "mac": f"52:54:00:aa:00:{number}", "disk": "/dev/vda", "labels": {"rack": rack}}
        assert answer(box, "POST", "/hosts", {"name": name, "values": values})[0] == 201

    listed = [host["name"] for host in answer(box, "GET", "/hosts?role=worker&label=rack%3Dr2")[1]]
    armed = answer(box, "POST", "/installs/arm", {"labels": {"rack": "r1"}, "force": True})
    none = answer(box, "POST", "/installs/arm", {"role": "control-plane", "labels": {"rack": "r1"}})
    cancelled = answer(box, "POST", "/installs/cancel", {"role": "worker", "reason": "not today"})

    assert listed == ["w3"]
    assert (armed[0], [each["host"] for each in armed[1]]) == (200, ["w2"])
    assert none == (
        404,
        {
            "error": "no host has role control-plane and label rack=r1; netboot host list shows the hosts",
            "code": "host-unknown",
        },
    )
    assert [note for each in cancelled[1] for note in each["notes"]] == [
        "w1 was not armed; nothing was changed",
        "w2 is not armed; it boots its own disk",
        "w3 was not armed; nothing was changed",
    ]

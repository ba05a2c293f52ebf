"""Unregistered machines get names and values; what identifies none of them is noted."""

from datetime import UTC, datetime
from typing import Any

import pytest

from netboot.errors import HostFileError
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.mac import Mac
from netboot.operate.registration.approval import (
    ApprovalRequest,
    approved_machines,
    free_names,
    host_values,
    identity_notes,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ONE, TWO, THREE = (Mac.parse(f"52:54:00:aa:bb:0{number}") for number in (1, 2, 3))
SHARED, BAD = "4c4c4544004235108052b3c04f4b4e33", "f" * 32
MACHINES = {
    ONE: Machine(ONE, NOW, NOW, "x64-uefi", uuid=SHARED),
    TWO: Machine(TWO, NOW, NOW, "x64-uefi", uuid=SHARED),
    THREE: Machine(THREE, NOW, NOW, "x64-uefi", uuid=BAD),
}
TAKEN = frozenset({"worker-1", "worker-3"})


def approved(**given: Any) -> dict[str, Any]:
    """The values of each host, by name."""
    request = ApprovalRequest(**{"macs": [ONE, THREE], "role": "worker", **given})
    return host_values(request, approved_machines(request, list(MACHINES.values()), MACHINES.values(), taken=TAKEN))


def test_each_machine_gets_the_next_free_name_and_its_own_card():
    assert approved() == {
        "worker-2": {"role": "worker", "mac": ONE, "network": {}},
        "worker-4": {"role": "worker", "mac": THREE, "network": {}},
    }


def test_the_same_machine_in_two_spellings_is_one_host():
    assert list(approved(macs=[ONE, "5254.00aa.bb01", ONE.hyphenated.upper()])) == ["worker-2"]


def test_addresses_are_given_in_order_and_the_rest_to_all():
    found = approved(addresses=["192.0.2.7/24", "192.0.2.5/24"], groups=["rack1"], disk="/dev/sda", name="n{n}.rack1")

    assert found == {
        name: {"role": "worker", "mac": mac, "groups": ["rack1"], "disk": "/dev/sda", "network": {"address": address}}
        for name, mac, address in (("n1.rack1", ONE, "192.0.2.7/24"), ("n2.rack1", THREE, "192.0.2.5/24"))
    }


def test_a_pool_is_named_in_each_file():
    assert [values["network"] for values in approved(pool="rack1").values()] == [{"pool": "rack1"}] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"macs": ["x"]}, "cannot approve 'x': it is not a MAC; netboot host list --discovered"),
        (
            {"macs": [ONE, "52:54:00:aa:bb:09"]},
            "cannot approve 52:54:00:aa:bb:09: no unregistered machine with this MAC requested a boot; "
            "netboot host list --discovered shows them, netboot host add registers any other",
        ),
        (
            {"addresses": ["192.0.2.7/24"]},
            "cannot approve: 2 machines and 1 addresses; give one for each, in order",
        ),
        (
            {"addresses": ["192.0.2.7/24"] * 2, "pool": "rack1"},
            "cannot approve: a host has an address or a pool; give one of the two",
        ),
        ({"name": "w"}, "cannot name 2 hosts w: write {n} once, where the number is, as worker-{n}"),
        ({"name": "{n}-{n}"}, "cannot name 2 hosts {n}-{n}: write {n} once, where the number is, as worker-{n}"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(given: dict[str, Any], message: str):
    with pytest.raises(HostFileError) as refused:
        approved(**given)
    assert str(refused.value) == message


def test_one_machine_can_have_a_name_without_a_number():
    assert free_names("w1", 1, taken=TAKEN) == ["w1"]
    assert free_names("worker-{n}", 3, taken=TAKEN) == ["worker-2", "worker-4", "worker-5"]


def test_a_placeholder_and_a_uuid_of_two_machines_are_noted():
    found = identity_notes(list(MACHINES.values()), MACHINES.values())

    assert found == {
        ONE: [f"uuid {SHARED} is also that of {TWO}: another card of this machine, or no identity"],
        TWO: [f"uuid {SHARED} is also that of {ONE}: another card of this machine, or no identity"],
        THREE: ["uuid ffffffff-ffff-ffff-ffff-ffffffffffff is a placeholder: all ones, none was written to the board"],
    }


def test_facts_that_a_machine_reported_are_compared_as_well_and_of_many_machines_three_are_named():
    macs = [Mac.parse(f"52:54:00:aa:cc:0{number}") for number in range(6)]
    machines = [
        Machine(mac, NOW, NOW, "x64-uefi", uuid=None, facts={MachineFact.SERIAL: "J1KXV52", MachineFact.ASSET: "None"})
        for mac in macs
    ]

    assert identity_notes(machines[:1], machines) == {
        macs[0]: [
            f"facts.serial J1KXV52 is also that of {', '.join(macs[1:4])} and 2 more: another card of this machine, "
            "or no identity",
            "facts.asset 'None' is a placeholder that many machines have",
        ]
    }
    assert identity_notes(machines[:1], [])[macs[0]] == ["facts.asset 'None' is a placeholder that many machines have"]

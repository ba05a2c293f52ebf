"""The addresses of OLVM's machines become address pools; what OLVM's documentation forbids is refused."""

import pytest
from fixtures.inventories import document, faults_of, read, sample

from netboot.registry.importers.format_names import ImportFormat

NETWORK = "gateway: 192.0.2.1, ipv4: {subnet: 192.0.2.0/24, ipAddresses: 192.0.2.40-192.0.2.50}"


def olvm(control_plane: str = NETWORK, worker: str = NETWORK, *, head: str = "name: one\n") -> str:
    machines = {"controlPlaneMachine": control_plane, "workerMachine": worker}
    lines = [f"    {name}: {{virtualMachine: {{network: {{{network}}}}}}}\n" for name, network in machines.items()]
    return f"provider: olvm\n{head}providers:\n  olvm:\n{''.join(lines)}"


def test_machines_with_the_same_addresses_share_a_pool():
    imported, faults = read(sample("olvm.yaml"))

    assert faults == []
    assert document(sample("olvm.yaml")) == {
        "cluster": {"name": "olvmone"},
        "roles": {
            "control-plane": {"network": {"pool": "olvmone"}},
            "worker": {"network": {"pool": "olvmone"}},
        },
        "address_pools": {
            "olvmone": {
                "subnet": "192.0.2.0/24",
                "addresses": "192.0.2.32/30, 192.0.2.40-192.0.2.50, 192.0.2.60",
                "gateway": "192.0.2.1",
            }
        },
    }
    assert imported.notes == [
        f"{machine}: the interface of the virtual machines is not that of a host: not taken over"
        for machine in ("controlPlaneMachine", "workerMachine")
    ]


def test_machines_with_other_addresses_have_a_pool_of_their_role():
    found = document(olvm(worker=NETWORK.replace("40-192.0.2.50", "60")))

    assert {name: pool["addresses"] for name, pool in found["address_pools"].items()} == {
        "control-plane": "192.0.2.40-192.0.2.50",
        "worker": "192.0.2.60",
    }
    assert found["roles"]["worker"] == {"network": {"pool": "worker"}}


def test_a_name_that_is_none_of_a_pool_is_not_used():
    assert list(document(olvm(head="name: one.example\n"))["address_pools"]) == ["olvm"]


def test_one_kind_of_machine_is_enough_and_a_provider_is_not_needed_for_a_chosen_format():
    text = olvm().replace("provider: olvm\n", "").replace("workerMachine", "other")

    assert list(document(text, wanted=ImportFormat.OLVM)["roles"]) == ["control-plane"]


def test_addresses_of_ipv6_without_a_subnet_have_a_note():
    imported, faults = read(olvm(worker=f"{NETWORK}, ipv6: {{ipAddresses: 'fd00::1-fd00::9'}}"))

    assert faults == []
    assert imported.notes == [
        "workerMachine: ipv6.ipAddresses not taken over, without a subnet: write subnet6 and addresses6"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            olvm("ipv6: {ipAddresses: 'fd00::1'}"),
            "1.yaml:5:53: providers.olvm.controlPlaneMachine.virtualMachine.network.ipv4.ipAddresses: "
            "is missing, and IPv6 alone is not possible: OCNE's nodes need IPv4; write IPv4 addresses",
        ),
        (
            "provider: olvm\nname: one\n",
            "1.yaml:1:1: providers.olvm.controlPlaneMachine or providers.olvm.workerMachine: "
            "has no virtualMachine.network; write it, as ocne requires",
        ),
        (
            olvm(head="name: one\nvirtualIp: 192.0.2.45\n"),
            "1.yaml:3:12: virtualIp: 192.0.2.45 is in the pool one, so a host could get it; "
            "write the addresses of the machines without it",
        ),
        (
            olvm(head="name: one\nserviceSubnet: 'fd00::/112, 192.0.0.0/16'\n"),
            "1.yaml:3:16: serviceSubnet: 192.0.0.0/16 overlaps 192.0.2.0/24, the subnet of the pool one; "
            "give the cluster another network",
        ),
        (
            olvm(*[NETWORK.replace("192.0.2.1,", "192.0.2.41,")] * 2),
            "1.yaml:5:117: address_pools.one.addresses: 192.0.2.40-192.0.2.50 contains the gateway 192.0.2.41; "
            "write the addresses without it",
        ),
        (
            olvm(*[NETWORK.replace("subnet: 192.0.2.0/24, ", "")] * 2),
            "1.yaml:5:53: address_pools.one.subnet: is missing; write it, as subnet: 192.0.2.0/24",
        ),
        (
            olvm(worker=NETWORK.replace("40-192.0.2.50", "50")),
            "1.yaml:6:110: address_pools.worker.addresses: 192.0.2.50 overlaps 192.0.2.40-192.0.2.50 of control-plane "
            "(1.yaml:5:116); give each address to one pool",
        ),
        (
            olvm(head=""),
            "1.yaml:1:1: name: is missing; write it, or leave the object out",
        ),
    ],
)
def test_what_no_rack_can_have_is_refused(text: str, fault: str):
    assert faults_of(text) == [fault]

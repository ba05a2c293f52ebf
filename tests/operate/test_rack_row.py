"""One host among all: what of it needs attention, its machine, how far its boot is."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.boot_record import BootPlan, BootRecord, BootStep
from netboot.model.boot.causes.cause import Cause, CauseSeverity
from netboot.model.boot.expected_durations import Expected, ExpectedDurations, Wait
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.model.install.install import Arming, Install
from netboot.operate.boots.boot_history import ShownBoot
from netboot.operate.boots.boot_waits import WaitStatus
from netboot.operate.rack.rack_row import Attention, HostRow, boot_percent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MAC = Mac("52:54:00:aa:bb:01")
CP1 = Host(HostName("cp1"), Role.CONTROL_PLANE, (MAC,))
RECORD = BootRecord(CP1.name, MAC, NOW, NOW, plan=BootPlan.INSTALL)


def row(**fields: Any) -> HostRow:
    return HostRow(**{"host": CP1, "install": Install(CP1.name)} | fields)


def waiting(step: Step, *, is_overdue: bool = False, **fields: Any) -> ShownBoot:
    wait = Wait(step, NOW, Expected(10, 20, 30))
    return ShownBoot(RECORD, wait=WaitStatus(wait, is_overdue), **fields)


def cause(severity: CauseSeverity) -> Cause:
    return Cause("disk-missing", "no disk", (), "add it", severity)


def machine(**fields: Any) -> Machine:
    return Machine(MAC, NOW, NOW, **fields)


@pytest.mark.parametrize(
    ("fields", "attention"),
    [
        ({}, None),
        ({"cause": cause(CauseSeverity.INFO)}, None),
        ({"cause": cause(CauseSeverity.WARNING)}, Attention.CAUSE),
        ({"cause": cause(CauseSeverity.ERROR), "boot": waiting(Step.KERNEL, is_overdue=True)}, Attention.CAUSE),
        ({"cause": cause(CauseSeverity.INFO), "boot": waiting(Step.KERNEL, is_overdue=True)}, Attention.OVERDUE),
        ({"boot": waiting(Step.KERNEL)}, None),
        ({"host": Host(CP1.name, CP1.role, CP1.macs, faults=("no disk",))}, Attention.FAULT),
    ],
)
def test_a_host_needs_attention_if_an_operator_can_do_something(fields: Any, attention: Attention | None):
    assert row(**fields).attention is attention


def test_a_machine_is_shown_as_it_reported_itself_and_its_port_by_lldp_before_option_82():
    path = RelayPath(None, "Gi1/0/7", "tor-1")
    facts = {
        MachineFact.MANUFACTURER: "Acme",
        MachineFact.PRODUCT: "X1",
        MachineFact.SERIAL: "S1",
        MachineFact.SWITCH: "tor-2",
        MachineFact.SWITCH_PORT: "et1",
    }
    addresses = (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
    reported = row(machine=machine(facts=facts, last_path=path, addresses=addresses))

    assert (reported.model, reported.serial, reported.switch_port) == ("Acme X1", "S1", "tor-2 et1")
    assert reported.address == addresses[-1]
    assert row(machine=machine(last_path=path)).switch_port == "tor-1 Gi1/0/7"
    assert (row().model, row().serial, row().switch_port, row().address) == ("", "", "", None)


def test_the_declared_address_is_shown_until_the_machine_has_another():
    network = HostNetwork(address=IPv4Interface("192.0.2.9/24"))
    declared = row(host=Host(CP1.name, CP1.role, CP1.macs, network=network))

    assert declared.address == IPv4Address("192.0.2.9")


def test_since_is_the_later_one_of_state_and_arming():
    moved, armed = NOW, NOW + timedelta(minutes=5)
    arming = Arming(armed, "x", 3)

    assert row().since is None
    assert row(install=Install(CP1.name, changed_at=moved)).since == moved
    assert row(install=Install(CP1.name, changed_at=moved, arming=arming)).since == armed


def test_what_is_waited_for_is_shown_in_words():
    found = row(boot=waiting(Step.KERNEL, is_overdue=True))

    assert (found.waited_for, found.is_overdue) == ("the transfer of the kernel", True)
    assert (row().waited_for, row().is_overdue) == (None, False)


def test_the_percent_of_a_boot_grow_with_its_steps_and_with_what_is_sent():
    expected, later = ExpectedDurations(), NOW + timedelta(seconds=5)
    first = boot_percent(waiting(Step.LOADER), expected, NOW)
    pulled = BootProgress(Step.OSTREE, "ock", 5, 10, 50, None, None)
    pull = [
        boot_percent(each, expected, NOW)
        for each in (waiting(Step.OSTREE), waiting(Step.OSTREE, progress=pulled), waiting(Step.READY))
    ]

    assert first is not None
    assert [first, *pull] == sorted([first, *[each or 0 for each in pull]])
    assert boot_percent(waiting(Step.OSTREE), expected, later) > pull[0]
    never = boot_percent(waiting(Step.READY), expected, NOW + timedelta(days=1))
    assert never is not None
    assert never < 100


def test_a_boot_of_which_nothing_is_due_has_no_percent():
    local = BootRecord(CP1.name, MAC, NOW, NOW, plan=BootPlan.LOCAL_DISK, steps=(BootStep(Step.OFFER, NOW, NOW),))

    assert boot_percent(ShownBoot(local), ExpectedDurations(), NOW) is None
    assert boot_percent(ShownBoot(RECORD), ExpectedDurations(), NOW) is None

"""Machines as the API shows them: their firmware, what it accepted, and whether Secure Boot is on."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from doctor.content.conftest import Appliance

from netboot.admin.json_views import json_view
from netboot.doctor.content.known_machines import machines_of, unregistered_machine
from netboot.model.boot.boot_client import Arch, BootProtocol, Machine
from netboot.model.boot.offer import IgnoreReason
from netboot.model.host.hardware import Hardware
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.operate.host_status import DiscoveredMachine

W1 = Mac.parse("52:54:00:12:34:56")
AT = datetime(2026, 11, 29, tzinfo=UTC)
SEEN = Machine(W1, AT, AT, "x64-uefi-http", "HTTPClient:Arch:00016:UNDI:003001")


def host_shown(machine: Machine, hardware: Hardware | None) -> Any:
    inspections = [json_view(Inspection(W1, hardware=hardware))]
    return {"machines": [json_view(machine)], "inspections": inspections}


@pytest.mark.parametrize("is_on", [True, False, None])
def test_a_host_has_what_its_inspection_reported(appliance: Appliance, is_on: bool | None):
    host = appliance.facts().registry.hosts.named("w1")

    [found] = machines_of(host, host_shown(SEEN, Hardware(firmware="uefi", secure_boot=is_on)))

    assert (found.host, found.secure_boot, str(found)) == (host, is_on, f"w1 ({W1})")
    assert found.client is not None
    assert (found.client.arch, found.client.protocol) == (Arch.X64_UEFI_HTTP, BootProtocol.HTTP)


def test_a_host_that_was_not_inspected_may_have_secure_boot(appliance: Appliance):
    host = appliance.facts().registry.hosts.named("w1")

    [found] = machines_of(host, host_shown(SEEN, None))

    assert found.secure_boot is None
    assert found.loader(appliance.facts().registry.policy) == "snponly.efi"


def test_the_loader_that_its_firmware_accepted_is_offered(appliance: Appliance):
    (appliance.boot / "ipxe.efi").write_bytes((appliance.boot / "snponly.efi").read_bytes())
    facts = appliance.facts()
    learned = replace(SEEN, variants={"http/x64": "with-43 ipxe.efi"})

    [found] = machines_of(facts.registry.hosts.named("w1"), host_shown(learned, None))

    assert found.loader(facts.registry.policy) == "ipxe.efi"


def test_a_variant_that_cannot_be_read_is_ignored(appliance: Appliance):
    host = appliance.facts().registry.hosts.named("w1")

    [found] = machines_of(host, host_shown(replace(SEEN, variants={"http/x64": "ipxe.efi"}), None))

    assert found.learned is None


def test_an_unregistered_machine(appliance: Appliance):
    inspected = Inspection(W1, hardware=Hardware(secure_boot=True))

    found = unregistered_machine(json_view(DiscoveredMachine(SEEN, inspected)))
    ia32 = unregistered_machine(json_view(DiscoveredMachine(replace(SEEN, arch="ia32-uefi"), None)))
    unseen = unregistered_machine(json_view(DiscoveredMachine(replace(SEEN, arch=None), None)))

    policy = appliance.facts().registry.policy
    assert (found.host, found.secure_boot, str(found)) == (None, True, str(W1))
    assert ia32.loader(policy) is IgnoreReason.NO_LOADER_FOR_ARCH
    assert (unseen.client, unseen.loader(policy)) == (None, None)

"""Recorded boots are played against a live daemon: as recorded there is no difference, and each fault is one."""

import asyncio
import time
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID

import pytest
from fixtures.lan import Lan
from fixtures.rack import Rack
from fixtures.scripted_machine import a_machine
from fixtures.simulated import on_lan

from netboot.model.host.mac import Mac
from netboot.probe.firmwares.profiles import profile_named
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.machine import Behaviour, SimulatedMachine
from netboot.probe.machine_boot import ALL_PERMITTED, Permissions
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.replay.capture_file import read_capture
from netboot.probe.replay.recorded_boot import DhcpRequest, HttpRequest, RecordedBoot, recorded_boot
from netboot.probe.replay.replayed_boot import Replay, ReplayOutcome

pytestmark = pytest.mark.integration

CAPTURES = Path(__file__).parents[2] / "captures"
MAC = "52:54:00:70:00:77"


def boot_in(name: str) -> RecordedBoot:
    return recorded_boot(read_capture(CAPTURES / f"{name}.pcapng"))


def replayed(
    lan: Lan, boot: RecordedBoot, *, permissions: Permissions = ALL_PERMITTED, mac: str = MAC
) -> ReplayOutcome:
    async def scenario(interface: LanInterface) -> ReplayOutcome:
        machine = SimulatedMachine(
            Mac.parse(mac), UUID(int=7), profile_named("edk2-pxe"), interface, MachineTimeline(time.monotonic),
            Behaviour(haste=20.0),
        )  # fmt: skip
        try:
            return await Replay(machine, boot, permissions).play()
        finally:
            await machine.power_off()

    return on_lan(lan, scenario)


def first_stage(boot: RecordedBoot) -> RecordedBoot:
    """The boot up to its script: what comes then is content of the lab."""
    last = next(
        n for n, each in enumerate(boot.requests) if isinstance(each, HttpRequest) and "/content/" in each.target
    )
    return replace(boot, requests=boot.requests[:last])


@pytest.mark.parametrize("name", ["bios-ipxe-rom", "edk2-pxe"])
def test_a_boot_as_recorded_has_no_difference(leasing_rack: Rack, name: str):
    outcome = replayed(leasing_rack.lan, first_stage(boot_in(name)))

    assert (list(map(str, outcome.differences)), outcome.left_out, outcome.failure) == ([], (), None)
    assert outcome.compared == len(first_stage(boot_in(name)).requests)


def test_a_boot_by_uefi_http_has_no_difference(leasing_rack: Rack):
    boot = boot_in("edk2-http")
    loader = [each for each in boot.requests if isinstance(each, DhcpRequest) or "/bootfiles/" in each.target]

    outcome = replayed(leasing_rack.lan, replace(boot, requests=tuple(loader[:4])))

    assert (list(map(str, outcome.differences)), outcome.failure) == ([], None)


def test_what_the_server_no_longer_has_is_a_difference_with_both_sides(leasing_rack: Rack):
    boot = boot_in("bios-ipxe-rom")

    outcome = replayed(leasing_rack.lan, boot)

    assert [str(each) for each in outcome.differences] == [
        f"GET /content/lab-installer/{name}, status: recorded 200, now 404" for name in ("vmlinuz", "initrd.img")
    ]


def test_a_changed_reply_is_a_difference_of_each_field(leasing_rack: Rack):
    boot = boot_in("bios-ipxe-rom")
    discover = boot.requests[0]
    assert isinstance(discover, DhcpRequest)
    offers = tuple(
        replace(each, siaddr=IPv4Address("192.0.2.99"), options={**each.options, 43: b"\6\1\3\xff", 97: b"\0" * 17})
        if each.source == boot.appliance
        else each
        for each in discover.answers
    )

    outcome = replayed(leasing_rack.lan, replace(boot, requests=(replace(discover, answers=offers),)))

    found = {each.what: (each.recorded, each.now) for each in outcome.differences}
    assert found["the reply to DISCOVER, siaddr"] == ("192.0.2.99", "192.0.2.10")
    assert found["the reply to DISCOVER, option 43"] == ("06 01 03 ff", "06 01 08 ff")
    assert set(found) == {f"the reply to DISCOVER, {name}" for name in ("siaddr", "option 43", "option 97")}


def test_without_permission_no_script_and_no_token_is_requested(leasing_rack: Rack):
    async def refused() -> str:
        return "cp1 is registered"

    outcome = replayed(leasing_rack.lan, boot_in("edk2-pxe"), permissions=Permissions(refused))

    assert outcome.left_out[0] == "GET /boot/52-54-00-aa-bb-01.ipxe: cp1 is registered"
    assert sum("it has a token; see --spend" in each for each in outcome.left_out) > 5
    assert not any("/boot/" in each.what for each in outcome.differences)


@pytest.mark.parametrize("name", ["/boot/52:54:00:12:34:56.ipxe", "grub.cfg-01-52-54-00-12-34-56"])
def test_a_script_of_another_machine_in_a_capture_is_not_requested(name: str):
    replay = Replay(a_machine(), boot_in("edk2-pxe"), ALL_PERMITTED)

    assert not asyncio.run(replay._is_permitted(name, "GET it"))
    assert replay.left_out == ["GET it: it is the script of another machine, 52:54:00:12:34:56"]
    assert asyncio.run(replay._is_permitted("/boot/52-54-00-aa-bb-01.ipxe", "GET it"))


def test_repeated_requests_of_a_boot_that_failed_are_answered_as_then(leasing_rack: Rack):
    outcome = replayed(leasing_rack.lan, boot_in("ignored-offers"))

    assert (outcome.differences, outcome.compared, outcome.failure) == ((), 4, None)


def test_a_reply_that_was_not_recorded_is_a_difference(leasing_rack: Rack):
    boot = boot_in("ignored-offers")
    unanswered = replace(boot.requests[0], answers=())

    outcome = replayed(leasing_rack.lan, replace(boot, requests=(unanswered,)))

    assert [(each.what, each.recorded) for each in outcome.differences] == [("the reply to DISCOVER", "no reply")]

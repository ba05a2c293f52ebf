"""An inspection from its request to its report: once for each machine and medium, with a token of its own."""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address

from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.boot.inspection_records import UNREGISTERED_KEPT
from netboot.boot.token_documents import Refusal
from netboot.model.boot.offer import (
    InspectPlan,
    LocalBootPlan,
    OfferKind,
    ScriptLanguage,
    ScriptPlan,
    UnknownHosts,
    WaitPlan,
    WaitReason,
)
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.wipe import Wipe, WipeState
from netboot.store.inspections import Inspections

MEDIUM = "ol8u10-x86_64"
REPORT = "firmware uefi\ndisk sda\nsize_bytes 480000000000\nnic eno1\n"
UNREGISTERED = replace(FIRMWARE, mac=UNKNOWN_MAC)
WAITS = WaitPlan(UNKNOWN_MAC, WaitReason.UNKNOWN_HOST)


def inspects(services: BuiltServices, medium: str = MEDIUM) -> None:
    services.use(policy=replace(services.policy, unknown=UnknownHosts.INSPECT, inspect_media=medium))


async def boots(services: BuiltServices) -> ScriptPlan:
    services.clock.pass_(100)
    services.boots(UNREGISTERED, address=UNKNOWN_ADDRESS)
    return await services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS)


async def token_of(services: BuiltServices, mac: Mac = UNKNOWN_MAC) -> str:
    return (await services.inspections.all())[mac].token


async def restarted(services: BuiltServices) -> None:
    """Read the records anew, as a daemon does at its start."""
    services.inspections._known.clear()
    await services.inspections.load()


def test_two_requests_at_once_get_the_same_inspection(with_services: WithServices):
    """A loader may repeat its request before it is answered."""

    async def scenario(services: BuiltServices) -> None:
        inspects(services)
        services.boots(UNREGISTERED, address=UNKNOWN_ADDRESS)
        plans = await asyncio.gather(*(services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS) for _ in range(2)))
        assert plans == [InspectPlan(UNKNOWN_MAC, MEDIUM, None, await token_of(services))] * 2

    with_services(scenario)


def test_an_unregistered_machine_is_inspected_once_and_then_waits(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        inspects(services)
        first = await boots(services)
        again = await services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS)
        token = await token_of(services)

        assert first == again == InspectPlan(UNKNOWN_MAC, MEDIUM, None, token)
        assert await boots(services) == WAITS  # its report was not delivered
        document = await services.inspection_documents.serve_kickstart(token, UNKNOWN_ADDRESS, base_url=BASE_URL)
        assert f"{BASE_URL}/report/{token}/inspected" in str(document)
        assert await services.inspection_documents.report(token, UNKNOWN_ADDRESS, REPORT) is None
        assert await services.inspection_documents.report(token, UNKNOWN_ADDRESS, REPORT) is Refusal.UNKNOWN
        assert await boots(services) == WAITS
        await restarted(services)
        assert await boots(services) == WAITS
        (found,) = (await services.inspections.all()).values()
        assert found.hardware is not None
        assert [disk.name for disk in found.hardware.disks] == ["sda"]
        events = [event for event in await services.events() if event.name == "boot.machine_inspected"]
        assert [(event.mac, event.data["disks"], event.data["cards"]) for event in events] == [(UNKNOWN_MAC, 1, 1)]

    with_services(scenario)


def test_another_medium_or_a_request_inspects_it_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        inspects(services)
        await boots(services)
        await services.inspections.request([UNKNOWN_MAC])
        requested = await boots(services)
        before = await token_of(services)
        await services.inspections.request([UNKNOWN_MAC])
        await restarted(services)
        assert isinstance(requested, InspectPlan)
        assert isinstance(await boots(services), InspectPlan)
        assert await token_of(services) != before
        assert await services.inspection_documents.report(before, UNKNOWN_ADDRESS, REPORT) is Refusal.UNKNOWN
        assert await boots(services) == WAITS

    with_services(scenario)


def test_a_machine_that_did_not_announce_itself_or_is_elsewhere_is_not_inspected(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        inspects(services)
        services.boots(UNREGISTERED, address=UNKNOWN_ADDRESS)
        services.boots(FIRMWARE)
        elsewhere = await services.script_for(UNKNOWN_MAC, ADDRESS)
        head = await services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS, is_head=True)
        services.clock.pass_(1000)
        late = await services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS)

        assert [elsewhere, head, late] == [WAITS] * 3
        assert await services.inspections.all() == {}

    with_services(scenario)


def test_a_medium_that_cannot_be_served_inspects_nobody(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        inspects(services, "ol99")
        assert await boots(services) == WaitPlan(UNKNOWN_MAC, WaitReason.NOT_READY)
        services.boots(FIRMWARE)
        await services.inspections.request([MAC])
        assert await services.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, services.hosts.by_mac(MAC))
        assert (await services.inspections.all())[MAC].is_requested
        assert "ol99" in str(
            next(each.data for each in await services.events() if each.name == "boot.script_held_back")["reason"]
        )
        inspects(services)
        assert isinstance(await boots(services), InspectPlan)

    with_services(scenario)


def test_a_registered_host_is_inspected_once_at_its_request_and_then_boots_its_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        host = services.hosts.by_mac(MAC)
        assert services.offer(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert host is not None
        await services.inspections.request(host.macs)
        assert services.offer(FIRMWARE).kind is OfferKind.LOADER  # type: ignore[union-attr]
        services.boots(FIRMWARE, IPXE)
        plan = await services.script_for(MAC, ADDRESS)
        token = await token_of(services, MAC)

        assert plan == InspectPlan(MAC, MEDIUM, host, token)
        assert await services.inspection_documents.report(token, OTHER_ADDRESS, REPORT) is Refusal.UNAUTHORISED
        assert await services.inspection_documents.report(token, ADDRESS, REPORT) is None
        services.clock.pass_(100)
        services.boots(FIRMWARE)
        assert services.offer(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert await services.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, host)
        alarms = [event for event in await services.events() if event.name == "boot.alarm_raised"]
        assert [(event.host, event.data["document"]) for event in alarms] == [(host.name, "inspection")]

    with_services(scenario)


def test_an_inspection_of_one_card_ends_the_request_of_the_others(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[bool]:
        services.change_host("cp1", macs=(MAC, Mac("52:54:00:aa:bb:77")))
        await services.inspections.request([MAC, Mac("52:54:00:aa:bb:77")])
        services.boots(FIRMWARE)
        await services.script_for(MAC, ADDRESS)
        return [each.is_requested for each in (await services.inspections.all()).values()]

    assert with_services(scenario) == [False, False]


def test_another_appliance_on_the_same_store_that_began_it_first_inspects_it_alone(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        inspects(services)
        await Inspections(services.database).change(
            [UNKNOWN_MAC], lambda each: each.begun(MEDIUM, "f" * 32, at=services.clock.now()), creates=True
        )
        assert await boots(services) == WAITS
        assert await boots(services) == WAITS
        assert await token_of(services) == "f" * 32

    with_services(scenario)


def test_a_flood_of_unregistered_machines_is_forgotten_with_them(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        inspects(services)
        flood = [Mac.from_bytes((0x020000000000 + n).to_bytes(6, "big")) for n in range(UNREGISTERED_KEPT)]
        at = services.clock.now()
        await Inspections(services.database).change(flood, lambda each: each.begun(MEDIUM, "", at=at), creates=True)
        await restarted(services)
        services.seen.find_or_add(flood[0])

        assert isinstance(await boots(services), InspectPlan)
        assert set(await services.inspections.all()) == {flood[0], UNKNOWN_MAC}

    with_services(scenario)


def test_a_flood_forgets_no_wipe(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        inspects(services)
        first, *others = [Mac.from_bytes((0x020000000000 + n).to_bytes(6, "big")) for n in range(UNREGISTERED_KEPT)]
        at = services.clock.now()
        wipe = Wipe(HostName("old1"), (first,), "/dev/disk/by-id/ata-1", WipeState.REQUESTED, at)
        await services.inspections.request_wipe(wipe, MEDIUM)
        await Inspections(services.database).change(
            [first, *others], lambda each: each.begun(MEDIUM, "", at=at), creates=True
        )
        await restarted(services)

        assert isinstance(await boots(services), InspectPlan)
        kept = await services.inspections.all()
        assert set(kept) == {first, UNKNOWN_MAC}
        assert kept[first].wipe == wipe.moved(WipeState.BEGUN, at=at)

    with_services(scenario)


def test_an_unknown_token_opens_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[object]:
        documents = services.inspection_documents
        return [
            await documents.serve_kickstart(token, IPv4Address("192.0.2.50"), base_url=BASE_URL)
            for token in ("0" * 32, "", "x", "'" * 32)
        ]

    assert with_services(scenario) == [Refusal.UNKNOWN] * 4


def test_both_languages_have_a_script_for_it(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        plan = InspectPlan(UNKNOWN_MAC, MEDIUM, None, "a" * 32)
        for language in ScriptLanguage:
            text = services.documents.script(plan, language, base_url=BASE_URL)
            assert f"inst.ks={BASE_URL}/inspect/{'a' * 32}" in text
            assert f"/content/{MEDIUM}/vmlinuz" in text
            assert "no disk is written" in text

    with_services(scenario)


def test_a_second_machine_with_its_own_request_is_inspected_too(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        inspects(services)
        other = replace(FIRMWARE, mac=Mac("52:54:00:aa:bb:98"))
        await boots(services)
        services.boots(other, address=OTHER_ADDRESS)
        plan = await services.script_for(other.mac, OTHER_ADDRESS)
        assert isinstance(plan, InspectPlan)
        assert services.hosts.by_mac(OTHER_MAC) is not None
        return sorted(await services.inspections.all())

    assert with_services(scenario) == ["52:54:00:aa:bb:98", UNKNOWN_MAC]

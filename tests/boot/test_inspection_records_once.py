"""Rescues and wipes as records: requested, begun once by the script, ended; a registered machine is never wiped."""

from dataclasses import replace
from typing import Any

import pytest
from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.boot.inspection_documents import WipeReport
from netboot.boot.token_documents import Refusal
from netboot.model.boot.offer import (
    InspectPlan,
    LocalBootPlan,
    OfferKind,
    RescuePlan,
    ScriptLanguage,
    ScriptPlan,
    UnknownHosts,
    WaitPlan,
    WaitReason,
)
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import INSPECTED_INSTEAD, Inspection, OneTimeBoot
from netboot.model.install.wipe import Wipe, WipeState
from netboot.store.inspections import Inspections

MEDIUM = "ol8u10-x86_64"
OLD1 = HostName("old1")
OTHER_CARD = Mac("52:54:00:aa:bb:98")
MACHINE = f"firmware uefi\ndisk sda\nnic eno1\nmac {UNKNOWN_MAC}\n"
UNREGISTERED = replace(FIRMWARE, mac=UNKNOWN_MAC)
WAITS = WaitPlan(UNKNOWN_MAC, WaitReason.UNKNOWN_HOST)
REGISTERED_AGAIN = "its machine was registered again"


def wipe(services: BuiltServices) -> Wipe:
    disk = DiskRule(serial="S1")
    return Wipe(OLD1, (UNKNOWN_MAC, OTHER_CARD), disk, WipeState.REQUESTED, services.clock.now())


async def retired(services: BuiltServices) -> None:
    """Request a wipe, as the retirement of a host with two cards does."""
    services.use(policy=replace(services.policy, unknown=UnknownHosts.WAIT))
    await services.inspections.request_wipe(wipe(services), MEDIUM)


async def boots(services: BuiltServices) -> ScriptPlan:
    services.clock.pass_(100)
    services.boots(UNREGISTERED, address=UNKNOWN_ADDRESS)
    return await services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS)


def register(services: BuiltServices, *macs: Mac) -> None:
    """Declare one more host, as a reload puts it in force."""
    hosts = [*services.hosts, Host(HostName("new1"), Role.WORKER, macs)]
    services.use(hosts=HostSet.of(services.hosts.cluster, hosts))


async def reported(services: BuiltServices, token: str, report: WipeReport, body: str = MACHINE) -> Any:
    documents = services.inspection_documents
    return await documents.report_wipe(token, report, address=UNKNOWN_ADDRESS, body=body)


async def kickstart(services: BuiltServices, token: str) -> Any:
    return await services.inspection_documents.serve_kickstart(token, UNKNOWN_ADDRESS, base_url=BASE_URL)


async def begun(services: BuiltServices) -> str:
    plan = await boots(services)
    assert isinstance(plan, InspectPlan)
    return plan.token


async def wipe_of(services: BuiltServices, mac: Mac = UNKNOWN_MAC) -> Wipe | None:
    return (await services.inspections.all())[mac].wipe


async def state(services: BuiltServices) -> tuple[WipeState, str] | None:
    found = await wipe_of(services)
    return found and (found.state, found.note)


async def named(services: BuiltServices, *names: str) -> list[tuple[object, ...]]:
    found = [event for event in await services.events() if event.name in names]
    return [(event.name.partition(".")[2], event.host, event.data.get("reason")) for event in found]


def test_a_host_is_rescued_once_at_its_request_and_then_boots_its_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        host = services.hosts.by_mac(MAC)
        assert host is not None
        await services.inspections.request_rescue(host.macs, MEDIUM)
        assert services.offer(FIRMWARE).kind is OfferKind.LOADER  # type: ignore[union-attr]
        services.boots(FIRMWARE, IPXE)
        head = await services.script_for(MAC, ADDRESS, is_head=True)
        elsewhere = await services.script_for(MAC, OTHER_ADDRESS)
        assert (head, elsewhere) == (LocalBootPlan(MAC, host), LocalBootPlan(MAC, host))
        first, again = [await services.script_for(MAC, ADDRESS) for _ in range(2)]

        assert first == again == RescuePlan(MAC, MEDIUM, host)
        assert (await services.inspections.all())[MAC] == Inspection(MAC)
        services.clock.pass_(100)
        services.boots(FIRMWARE)
        assert services.offer(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert await services.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, host)
        served = [event.data for event in await services.events() if event.name == "boot.script_served"]
        assert [data["plan"] for data in served] == ["rescue", "local-disk"]
        assert served[0]["medium"] == MEDIUM

    with_services(scenario)


def test_both_languages_have_a_script_for_each(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        host = services.hosts.by_mac(MAC)
        assert host is not None
        wiping = InspectPlan(UNKNOWN_MAC, MEDIUM, None, "a" * 32, wipe(services))
        for language in ScriptLanguage:
            rescue = services.documents.script(RescuePlan(MAC, MEDIUM, host), language, base_url=BASE_URL)
            assert "boots the rescue mode of ol8u10-x86_64, once" in rescue
            assert f"/content/{MEDIUM}/vmlinuz" in rescue
            assert "inst.rescue" in rescue
            assert "inst.ks" not in rescue
            text = services.documents.script(wiping, language, base_url=BASE_URL)
            assert f"inst.ks={BASE_URL}/inspect/{'a' * 32}" in text
            assert "disk serial S1; no other disk is written" in text

    with_services(scenario)


def test_a_rescue_leaves_what_an_inspection_reported(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        before = Inspection(MAC, medium="ol9", begun_at=services.clock.now(), reported_at=services.clock.now())
        await Inspections(services.database).change([MAC], lambda _: before, creates=True)
        await services.inspections.load()
        await services.inspections.request_rescue([MAC], MEDIUM)
        services.boots(FIRMWARE)
        assert isinstance(await services.script_for(MAC, ADDRESS), RescuePlan)
        assert (await services.inspections.all())[MAC] == before

    with_services(scenario)


def test_a_rescue_whose_medium_cannot_be_served_boots_the_disk_and_stays_requested(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await services.inspections.request_rescue([MAC], "ol99")
        services.boots(FIRMWARE)
        assert await services.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, services.hosts.by_mac(MAC))
        assert (await services.inspections.all())[MAC].is_requested
        (held_back,) = await named(services, "boot.script_held_back")
        assert "ol99" in str(held_back[2])

    with_services(scenario)


def test_only_a_request_of_the_same_kind_is_withdrawn(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await services.inspections.request_rescue([MAC], MEDIUM)
        assert not await services.inspections.withdraw([MAC], OneTimeBoot.INSPECT)
        assert await services.inspections.withdraw([MAC], OneTimeBoot.RESCUE)
        assert not await services.inspections.withdraw([MAC], OneTimeBoot.RESCUE)
        assert services.inspections.known(MAC) == Inspection(MAC)

    with_services(scenario)


def test_the_rescue_of_a_removed_host_ends(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await services.inspections.request_rescue([MAC], MEDIUM)
        await services.inspection_documents.end_unfit()
        assert (await services.inspections.all())[MAC].is_requested
        services.use(hosts=HostSet.of(services.hosts.cluster, []))
        await services.inspection_documents.end_unfit()
        assert not (await services.inspections.all())[MAC].is_requested

    with_services(scenario)


def test_a_retired_machine_wipes_its_disk_once_and_reports_each_step(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        again = await services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS)
        assert isinstance(again, InspectPlan)
        assert again.token == token
        assert await state(services) == (WipeState.BEGUN, "")
        assert await wipe_of(services, OTHER_CARD) is None
        assert "wipefs --all" in await kickstart(services, token)
        foreign = services.inspection_documents
        foreign_report = await foreign.report_wipe(token, WipeReport.WIPING, address=OTHER_ADDRESS, body=MACHINE)
        assert foreign_report is Refusal.UNAUTHORISED
        assert await services.inspection_documents.report(token, UNKNOWN_ADDRESS, MACHINE) is Refusal.SPENT
        assert [await reported(services, token, WipeReport.WIPING) for _ in range(2)] == [None, None]
        assert await state(services) == (WipeState.ALLOWED, "")
        assert await reported(services, token, WipeReport.WIPED, "sda, 480 GB\nmore\n") is None
        assert await state(services) == (WipeState.DONE, "sda, 480 GB")
        assert await reported(services, token, WipeReport.WIPED) is Refusal.UNKNOWN
        assert await kickstart(services, token) is Refusal.UNKNOWN
        assert await boots(services) == WAITS
        assert await named(services, "boot.wipe_begun", "boot.machine_wiped") == [
            ("wipe_begun", OLD1, None),
            ("machine_wiped", OLD1, None),
        ]

    with_services(scenario)


def test_a_machine_that_ends_in_its_wipe_is_not_wiped_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        await reported(services, token, WipeReport.WIPING)
        assert await boots(services) == WAITS
        services.inspections._known.clear()
        await services.inspections.load()
        assert await boots(services) == WAITS
        assert await state(services) == (WipeState.ALLOWED, "")

    with_services(scenario)


@pytest.mark.parametrize("is_allowed", [False, True])
def test_an_inspection_of_a_machine_that_ended_in_its_wipe_wipes_no_disk(with_services: WithServices, is_allowed: bool):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        if is_allowed:
            await reported(services, token, WipeReport.WIPING)
        services.use(policy=replace(services.policy, inspect_media=MEDIUM))
        await services.inspections.request([UNKNOWN_MAC])
        inspection = await begun(services)

        assert await state(services) == (WipeState.CANCELLED, INSPECTED_INSTEAD)
        document = await kickstart(services, inspection)
        assert f"{BASE_URL}/report/{inspection}/inspected" in document
        assert "wipefs" not in document
        assert await reported(services, inspection, WipeReport.WIPING) is Refusal.SPENT
        assert await services.inspection_documents.report(inspection, UNKNOWN_ADDRESS, MACHINE) is None
        assert await kickstart(services, token) is Refusal.UNKNOWN

    with_services(scenario)


def test_a_refused_wipe_is_recorded_with_its_reason(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        assert await reported(services, token, WipeReport.REFUSED, "no disk fits\n") is None
        assert await state(services) == (WipeState.REFUSED, "no disk fits")
        assert await named(services, "boot.wipe_refused") == [("wipe_refused", OLD1, "no disk fits")]
        assert await boots(services) == WAITS

    with_services(scenario)


def test_a_machine_that_was_registered_again_before_its_boot_boots_its_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        register(services, UNKNOWN_MAC)
        assert isinstance(await boots(services), LocalBootPlan)
        await services.inspection_documents.end_unfit()
        assert await state(services) == (WipeState.CANCELLED, REGISTERED_AGAIN)
        services.use(hosts=HostSet.of(services.hosts.cluster, []))
        assert await boots(services) == WAITS  # the wipe does not come back
        assert await named(services, "boot.wipe_refused") == [("wipe_refused", OLD1, REGISTERED_AGAIN)]

    with_services(scenario)


def test_a_wipe_does_not_begin_where_another_card_of_the_machine_is_registered(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        register(services, OTHER_CARD)
        assert await boots(services) == WAITS
        await services.inspection_documents.end_unfit()
        assert await state(services) == (WipeState.CANCELLED, REGISTERED_AGAIN)

    with_services(scenario)


def test_a_machine_that_is_registered_in_the_middle_may_not_write_to_its_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        register(services, OTHER_CARD)  # put in force; nothing is stored yet
        assert await services.script_for(UNKNOWN_MAC, UNKNOWN_ADDRESS) != WAITS  # the same boot
        assert await kickstart(services, token) is Refusal.SPENT
        why = f"its machine is registered as new1 ({OTHER_CARD})"
        assert await reported(services, token, WipeReport.WIPING) == why
        assert await state(services) == (WipeState.CANCELLED, why)
        assert await reported(services, token, WipeReport.WIPING) is Refusal.UNKNOWN

    with_services(scenario)


def test_a_machine_with_a_registered_card_of_another_name_may_not_write_to_its_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        refused = await reported(services, token, WipeReport.WIPING, f"{MACHINE}nic eno2\nmac {MAC.upper()}\n")
        assert refused == f"its machine is registered as cp1 ({MAC})"

    with_services(scenario)


def test_no_wipe_is_allowed_while_the_hosts_files_have_a_fault(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        services.use(policy=replace(services.policy, is_complete=False))
        refused = await reported(services, token, WipeReport.WIPING)
        assert refused.startswith("the hosts files have a fault")

    with_services(scenario)


def test_a_permission_that_is_overtaken_in_the_store_is_none(with_services: WithServices):
    """The comparison in memory passed; the store decides."""

    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        opened = await services.inspections.by_token(token)
        assert opened is not None
        register(services, UNKNOWN_MAC)
        assert not await services.inspections.allow_wipe(UNKNOWN_MAC, token, opened.hardware)  # type: ignore[arg-type]
        assert await state(services) == (WipeState.BEGUN, "")

    with_services(scenario)


def test_an_operator_cancels_a_wipe_before_and_after_its_script(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        (ended,) = await services.inspections.cancel_wipes("an operator cancelled it", which=lambda _: True)
        assert (ended.host, ended.state) == (OLD1, WipeState.CANCELLED)
        assert await boots(services) == WAITS
        await services.inspections.request_wipe(wipe(services), MEDIUM)
        token = await begun(services)
        await services.inspections.cancel_wipes("an operator cancelled it", which=lambda each: each.host == OLD1)
        assert await reported(services, token, WipeReport.WIPING) is Refusal.UNKNOWN
        assert await services.inspections.cancel_wipes("again", which=lambda _: True) == []
        await services.inspections.request_wipe(wipe(services), MEDIUM)
        await reported(services, await begun(services), WipeReport.WIPING)
        (late,) = await services.inspections.cancel_wipes("an operator cancelled it", which=lambda _: True)
        assert late.note == "an operator cancelled it, while it was being wiped"

    with_services(scenario)


def test_another_appliance_on_the_same_store_that_began_the_wipe_first_wipes_alone(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        at = services.clock.now()
        await Inspections(services.database).change(
            [UNKNOWN_MAC], lambda each: each.begun(MEDIUM, "f" * 32, at=at), creates=False
        )
        assert await boots(services) == WAITS
        assert (await services.inspections.all())[UNKNOWN_MAC].token == "f" * 32

    with_services(scenario)


def test_a_wipe_that_another_appliance_cancelled_does_not_begin(with_services: WithServices):
    """The memory of this one has the request still."""

    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        at = services.clock.now()
        await Inspections(services.database).change(
            [UNKNOWN_MAC], lambda each: each.wipe_ended(WipeState.CANCELLED, "", at=at), creates=False
        )
        assert await boots(services) == WAITS

    with_services(scenario)

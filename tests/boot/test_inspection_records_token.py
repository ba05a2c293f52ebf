"""A token leads to what its own boot began, whatever wipe the machine's record has besides."""

from dataclasses import replace

import pytest
from boot.test_inspection_records_once import (
    MACHINE,
    MEDIUM,
    OLD1,
    REGISTERED_AGAIN,
    WAITS,
    begun,
    boots,
    kickstart,
    register,
    reported,
    retired,
    state,
    wipe,
)
from fixtures.services import UNKNOWN_ADDRESS, UNKNOWN_MAC, BuiltServices, WithServices

from netboot.boot.inspection_documents import WipeReport
from netboot.boot.token_documents import Refusal
from netboot.errors import StoreError
from netboot.model.boot.offer import InspectPlan, RescuePlan
from netboot.model.host.hardware import hardware_in
from netboot.model.host.host import HostSet
from netboot.model.install.inspection import Inspection
from netboot.model.install.wipe import WipeState
from netboot.store.inspections import Inspections

TOKEN, ANOTHER = 32 * "a", 32 * "b"


async def stored(services: BuiltServices, inspection: Inspection) -> None:
    await Inspections(services.database).change([inspection.mac], lambda _: inspection, creates=True)
    await services.inspections.load()


@pytest.mark.parametrize("begun_by", [ANOTHER, ""])  # empty: a version before did not store it
@pytest.mark.parametrize("of", [WipeState.REQUESTED, WipeState.BEGUN, WipeState.ALLOWED])
def test_a_token_that_did_not_begin_the_wipe_writes_no_disk(with_services: WithServices, of: WipeState, begun_by: str):
    async def scenario(services: BuiltServices) -> None:
        await boots(services)
        open_wipe = replace(wipe(services), state=of, token=begun_by)
        await stored(services, Inspection(UNKNOWN_MAC, token=TOKEN, wipe=open_wipe))

        assert "wipefs" not in await kickstart(services, TOKEN)
        for report in WipeReport:
            assert await reported(services, TOKEN, report) is Refusal.SPENT
        assert not await services.inspections.allow_wipe(UNKNOWN_MAC, TOKEN, hardware_in(MACHINE))
        assert not await services.inspections.end_wipe(UNKNOWN_MAC, TOKEN, WipeState.DONE, "")
        assert await state(services) == (of, "")
        assert await services.inspection_documents.report(TOKEN, UNKNOWN_ADDRESS, MACHINE) is None

    with_services(scenario)


def test_the_token_of_a_wipe_reports_no_inspection(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services)
        assert not await services.inspections.report(UNKNOWN_MAC, token, hardware_in(MACHINE))
        assert "wipefs" in await kickstart(services, token)

    with_services(scenario)


def test_a_wipe_that_is_requested_while_another_boot_is_planned_is_not_begun_by_it(with_services: WithServices):
    """The script of the machine was written before, for the other boot."""

    async def scenario(services: BuiltServices) -> None:
        host = services.hosts.hosts[next(iter(services.hosts.hosts))]
        await retired(services)
        for plan in (
            InspectPlan(UNKNOWN_MAC, MEDIUM, token=TOKEN),
            InspectPlan(UNKNOWN_MAC, MEDIUM, host, token=TOKEN),
            InspectPlan(UNKNOWN_MAC, MEDIUM, token=TOKEN, wipe=replace(wipe(services), disk="/dev/disk/by-id/another")),
            RescuePlan(UNKNOWN_MAC, MEDIUM, host),
        ):
            assert not await services.inspections.begin(plan, is_seen=lambda _: True)
            assert await state(services) == (WipeState.REQUESTED, "")
        assert await kickstart(services, TOKEN) is Refusal.UNKNOWN

    with_services(scenario)


class FailingStore(Inspections):
    """A store that fails when it is read as a whole."""

    async def all(self) -> list[Inspection]:
        raise StoreError("a test")


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_registration_that_the_store_did_not_note_ends_the_wipe_also_after_its_end(
    with_services: WithServices, is_begun: bool
):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        token = await begun(services) if is_begun else ""
        register(services, UNKNOWN_MAC)
        sound = services.inspections.inspections
        object.__setattr__(services.inspections, "inspections", FailingStore(services.database))
        with pytest.raises(StoreError):
            await services.inspection_documents.end_unfit()
        object.__setattr__(services.inspections, "inspections", sound)
        services.use(hosts=HostSet.of(services.hosts.cluster, [each for each in services.hosts if each.name != "new1"]))

        if is_begun:
            assert await reported(services, token, WipeReport.WIPING) is Refusal.SPENT
        assert await boots(services) == WAITS
        await services.inspection_documents.end_unfit()
        assert await state(services) == (WipeState.CANCELLED, REGISTERED_AGAIN)
        await services.inspections.request_wipe(wipe(services), MEDIUM)  # another request counts again
        assert (await boots(services)).wipe.host == OLD1  # type: ignore[union-attr]

    with_services(scenario)

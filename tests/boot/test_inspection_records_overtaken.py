"""A report of a machine that arrives while an operator cancels its wipe."""

from dataclasses import replace

import pytest
from boot.test_inspection_records_once import begun, reported, retired
from fixtures.services import BuiltServices, WithServices

from netboot.boot.inspection_documents import WipeReport
from netboot.model.install.inspection import Inspection
from netboot.store.inspections import Inspections


class OvertakenStore(Inspections):
    """A store in which a machine reports this after the rows were read."""

    services: BuiltServices
    report: WipeReport

    async def all(self) -> list[Inspection]:
        found = await super().all()
        await reported(self.services, next(each.token for each in found if each.token), self.report)
        return found


@pytest.mark.parametrize(
    ("report", "notes"),
    [(WipeReport.WIPING, ["cancelled, while it was being wiped"]), (WipeReport.WIPED, [])],
)
def test_a_report_that_overtakes_the_end_of_its_wipe_counts(
    with_services: WithServices, report: WipeReport, notes: list[str]
):
    async def scenario(services: BuiltServices) -> None:
        await retired(services)
        await begun(services)
        store = OvertakenStore(services.database)
        store.services, store.report = services, report

        ended = await replace(services.inspections, inspections=store).cancel_wipes("cancelled", which=lambda _: True)

        assert [each.note for each in ended] == notes

    with_services(scenario)

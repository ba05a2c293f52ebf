"""The cause of a boot that waits, from the store and, while it fails, from memory."""

import pytest
from fixtures.services import ADDRESS, FIRMWARE, BuiltServices, WithServices

from netboot.boot.sessions.boot_causes import BootCauses, cause_data
from netboot.errors import StoreError
from netboot.events.event_log import EventLog
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.causes.cause import Cause
from netboot.model.boot.expected_durations import ExpectedDurations, Wait
from netboot.model.host.host import HostName

CP1 = HostName("cp1")


def causes_of(services: BuiltServices) -> BootCauses:
    return BootCauses(
        services.event_log,
        install_of=services.install_moves.known,
        machine_of=services.seen.machine_of,
        unserved=list,
        shortage=lambda: None,
        now=services.clock.now,
    )


async def boot_that_waits(services: BuiltServices) -> tuple[BootRecord, Wait]:
    """Boot cp1, which acknowledges nothing of its loader, until that is overdue."""
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE)
    services.file_service.record_failed_loader(
        ADDRESS, "snponly.efi", outcome="unanswered", bytes_sent=0, size_bytes=100
    )
    boot = services.boot_recorder.newest(CP1)
    assert boot is not None
    wait = ExpectedDurations().wait_of(boot)
    assert wait is not None
    services.clock.pass_(wait.expected.limit_s + 1)
    return boot, wait


@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("is_store_answering", [True, False])
def test_the_cause_is_found_in_events_that_are_stored_or_wait(
    with_services: WithServices, is_stored: bool, is_store_answering: bool
):
    async def scenario(services: BuiltServices) -> Cause | None:
        boot, wait = await boot_that_waits(services)
        if is_stored:
            await services.event_log.flush()
        return await causes_of(services).of(boot, wait, is_store_answering=is_store_answering)

    cause = with_services(scenario)

    # without the store, only the step that does not come is known of stored events
    assert cause.name == ("no-loader" if is_stored and not is_store_answering else "tftp-blocked")


def test_while_the_store_fails_the_events_that_wait_are_used(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    async def fails(*_: object, **__: object) -> None:
        raise StoreError("the store failed")

    async def scenario(services: BuiltServices) -> Cause | None:
        boot, wait = await boot_that_waits(services)
        monkeypatch.setattr(EventLog, "newest", fails)
        return await causes_of(services).of(boot, wait, is_store_answering=True)

    assert with_services(scenario).name == "tftp-blocked"


def test_a_cause_is_flat_in_the_data_of_an_event(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Cause | None:
        boot, wait = await boot_that_waits(services)
        return await causes_of(services).of(boot, wait, is_store_answering=True)

    cause = with_services(scenario)

    assert cause_data(None) == {}
    assert cause_data(cause) == {
        "cause": "tftp-blocked",
        "severity": "error",
        "sentence": cause.sentence,
        "cure": cause.cure,
        "evidence": "\n".join(cause.evidence),
    }
    assert len(cause.evidence) == 2

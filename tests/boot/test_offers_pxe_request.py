"""The request on port 4011 is a step of its boot; it, and DISCOVERs that are repeated, are counted as retries."""

from dataclasses import replace

from fixtures.services import FIRMWARE, BuiltServices, WithServices

from netboot.boot.decide import Decision
from netboot.model.host.host import HostName
from netboot.model.install.event import Step

CP1 = HostName("cp1")


async def armed(services: BuiltServices) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)


def discovers(services: BuiltServices, *elapsed: int) -> None:
    """Send DISCOVERs of one exchange, each offered."""
    for seconds in elapsed:
        services.offer(replace(FIRMWARE, exchange=7, elapsed=seconds), is_sent=True)
        services.clock.pass_(4)


def requests_a_boot_server(services: BuiltServices) -> None:
    decision = services.offer_service.decide_offer(FIRMWARE)
    assert isinstance(decision, Decision)
    services.offer_service.record_offer(decision)
    services.offer_service.record_pxe_request(decision)


def test_the_first_request_on_4011_is_a_step_and_the_others_are_its_retries(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[object, ...]:
        await armed(services)
        discovers(services, 0)
        for _ in range(3):
            requests_a_boot_server(services)
        boot = services.boot_recorder.newest(CP1)
        assert boot is not None
        events = [(event.name, event.step, event.data.get("boot_file")) for event in await services.events()]
        return events[1:3], [(each.step, each.retries) for each in boot.steps], boot.facts.arch

    events, steps, arch = with_services(scenario)

    assert [event for event in events if event[1]] == [
        ("boot.offered", Step.OFFER, "snponly.efi"),
        ("boot.pxe_requested", Step.PXE_REQUEST, "snponly.efi"),
    ]
    assert (steps, arch) == ([(Step.OFFER, 0), (Step.PXE_REQUEST, 2)], "x64-uefi")


def test_a_repeated_discover_is_a_retry_of_its_offer_and_a_new_exchange_is_another_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[int]:
        await armed(services)
        discovers(services, 0, 4, 8)
        services.offer(replace(FIRMWARE, exchange=8), is_sent=True)
        await services.boots_kept.flush()
        return [boot.steps[0].retries for boot in await services.boots_kept.of_host(CP1)]

    assert with_services(scenario) == [2, 0]


def test_a_host_that_boots_its_own_disk_has_no_retries(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[object, ...]:
        discovers(services, 0, 4)
        requests_a_boot_server(services)
        boot = services.boot_recorder.newest(CP1)
        assert boot is not None
        return boot.plan, [each.step for each in boot.steps], boot.retries

    assert with_services(scenario) == ("local-disk", [Step.LOCAL_BOOT, Step.PXE_REQUEST], 0)

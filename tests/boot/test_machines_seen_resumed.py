"""The boots that ran before a restart of the daemon continue: their steps are known, and when they began."""

from dataclasses import replace
from datetime import timedelta

from fixtures.services import ADDRESS, FIRMWARE, MAC, UNKNOWN_MAC, BuiltServices, WithServices

from netboot.model.boot.boot_record import BootRecord, BootStep
from netboot.model.host.host import HostName
from netboot.model.install.event import Step


def test_a_step_that_was_recorded_before_the_restart_is_not_recorded_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[list[Step | None], float]:
        services.boots(FIRMWARE)
        began_at = services.clock.now() - timedelta(seconds=40)
        steps = tuple(BootStep(step, began_at, began_at) for step in (Step.OFFER, Step.LOADER))
        boot = BootRecord(HostName("cp1"), MAC, began_at, began_at, steps=steps)
        for each in (boot, replace(boot, host=None, mac=UNKNOWN_MAC)):
            services.boots_kept.keep(each)
        await services.boots_kept.flush()
        await services.boot_recorder.load(services.clock.now())
        services.seen.resume()
        services.file_service.record_loader(
            ADDRESS, "snponly.efi", bytes_sent=7, seconds=1.0, retransmissions=0, outcome="sent"
        )
        seen = services.seen.get(MAC)
        assert seen is not None
        began_s_ago = services.clock.monotonic() - seen.boot.trace.began_s
        return [event.step for event in await services.events()], began_s_ago

    assert with_services(scenario) == ([Step.LOCAL_BOOT], 40.0)

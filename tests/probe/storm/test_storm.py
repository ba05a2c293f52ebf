"""A storm runs every machine in a task of its own, within a limit; the server's use is read from /proc."""

import asyncio
import os
from pathlib import Path

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.storm.server_load import ServerLoad, ServerUse, server_load, use_between
from netboot.probe.storm.storm import Storm
from netboot.probe.storm.storm_machines import StormMachine, storm_machines


def test_machines_boot_at_the_same_time_and_are_returned_in_their_order():
    together = asyncio.Event()
    on: set[int] = set()

    async def boot(machine: StormMachine, timeline: MachineTimeline) -> BootFailedError | None:
        timeline.add(Step.OFFER, "offer")
        on.add(machine.number)
        if len(on) == 20:
            together.set()
        await together.wait()
        return None if machine.number % 2 else BootFailedError(Step.LOADER, "no loader", cure="add one")

    storm = Storm(storm_machines(20, None), boot, within_s=0.05, longest_boot_s=30.0)
    boots = asyncio.run(storm.run())

    assert [each.machine.number for each in boots] == list(range(1, 21))
    assert [each.failure is None for each in boots] == [True, False] * 10
    assert [[event.step for event in each.events] for each in boots] == [[Step.OFFER]] * 20
    assert (storm.progress.on, storm.progress.ended, storm.progress.failed) == (20, 20, 10)
    assert [each.began_s for each in boots] == sorted(each.began_s for each in boots)


def test_a_boot_without_an_end_fails_at_its_last_step():
    async def boot(_machine: StormMachine, timeline: MachineTimeline) -> BootFailedError | None:
        timeline.add(Step.KERNEL, "kernel")
        await asyncio.Event().wait()
        return None

    [found] = asyncio.run(Storm(storm_machines(1, None), boot, longest_boot_s=0.05).run())

    assert found.failure is not None
    assert found.failure.step is Step.KERNEL
    assert found.failure.sentence == "the boot did not end within 0.05 s; its last step was kernel"


def test_a_process_of_this_computer_is_measured():
    load = server_load(os.getpid())

    assert load is not None
    assert load.cpu_s > 0
    assert 10 << 20 < load.peak_bytes < 10 << 30


def test_a_process_that_is_not_here_is_not_measured(tmp_path: Path):
    assert server_load(1, proc=tmp_path) is None


def test_the_use_of_a_storm_is_between_two_readings():
    before, after = ServerLoad(2.0, 90 << 20), ServerLoad(5.5, 120 << 20)

    assert use_between(before, after) == ServerUse(3.5, 120 << 20)
    assert use_between(None, after) is None
    assert use_between(before, None) is None

"""The samples of the last hour: rates by protocol, bounded, and never negative."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fixtures.sleeping_loop import SleepingLoop

from netboot.telemetry.throughput import MOST_SAMPLES, SAMPLE_S, Throughput, Traffic

BEGAN = datetime(2026, 11, 29, 2, tzinfo=UTC)


class Box:
    """An appliance whose time and counters a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sent = dict.fromkeys(Traffic, 0)
        self.throughput = Throughput(self.totals, now=self.now, monotonic=lambda: self.seconds)

    def totals(self) -> Mapping[Traffic, int]:
        return self.sent

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)

    def pass_time(self, seconds: float = SAMPLE_S) -> None:
        self.seconds += seconds
        self.throughput.sample()


def test_a_sample_has_the_bytes_per_second_of_each_protocol():
    box = Box()
    box.sent = {Traffic.TFTP: 1_000, Traffic.HTTP: 20, Traffic.CONTENT: 0}
    box.pass_time()
    box.sent = {Traffic.TFTP: 1_000, Traffic.HTTP: 20, Traffic.CONTENT: 4_000}
    box.pass_time(20)

    samples = box.throughput.recent()

    assert [sample.at - BEGAN for sample in samples] == [timedelta(seconds=10), timedelta(seconds=30)]
    assert [{traffic: sample.rate(traffic) for traffic in Traffic} for sample in samples] == [
        {Traffic.TFTP: 100, Traffic.HTTP: 2, Traffic.CONTENT: 0},
        {Traffic.TFTP: 0, Traffic.HTTP: 0, Traffic.CONTENT: 200},
    ]


def test_bytes_of_a_transfer_are_counted_once_while_it_moves_to_its_counter():
    box = Box()
    for total in (500, 300, 500, 700):  # the transfer ended, and its counter is read a moment later
        box.sent = {**box.sent, Traffic.TFTP: total}
        box.pass_time()

    assert [sample.sent[Traffic.TFTP] for sample in box.throughput.recent()] == [500, 0, 0, 200]


def test_no_more_than_an_hour_is_kept():
    box = Box()
    for _ in range(2 * MOST_SAMPLES):
        box.pass_time()

    assert len(box.throughput.recent()) == MOST_SAMPLES

    box.seconds += 1_800
    assert len(box.throughput.recent()) == MOST_SAMPLES // 2 + 1


def test_two_samples_at_one_moment_are_one():
    box = Box()
    box.pass_time()
    box.pass_time(0)

    assert len(box.throughput.recent()) == 1


def test_a_sample_is_taken_every_ten_seconds():
    box = Box()

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(box.throughput.run())
        for second in range(1, 36):
            await asyncio.sleep(1)
            box.seconds = loop.time()
            box.sent = {**box.sent, Traffic.HTTP: second * 7}
        running.cancel()

    with asyncio.Runner(loop_factory=SleepingLoop) as runner:
        runner.run(scenario())

    samples = box.throughput.recent()
    assert len(samples) == 3
    assert [round(sample.rate(Traffic.HTTP)) for sample in samples] == [7, 7, 7]

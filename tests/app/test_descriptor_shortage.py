"""When this appliance had too few descriptors for machines last, and why."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from netboot.app.health.descriptor_shortage import DescriptorShortage
from netboot.model.boot.causes.cause import Shortage
from netboot.telemetry.health import Health, HealthPart, PartState
from netboot.telemetry.metrics import Metrics

START = datetime(2026, 11, 30, tzinfo=UTC)


class Box:
    """An appliance whose clock advances a second with each reading."""

    def __init__(self) -> None:
        self.metrics, self.fault, self._seconds = Metrics(), None, 0
        self.shortage = DescriptorShortage(self._check, self.metrics, now=self._now)

    fault: str | None

    async def _check(self) -> Health:
        return Health(
            [HealthPart.of("store", None), HealthPart.of("descriptors", self.fault, at_worst=PartState.DEGRADED)]
        )

    def _now(self) -> datetime:
        self._seconds += 1
        return START + timedelta(seconds=self._seconds)

    def pass_s(self, seconds: int) -> None:
        self._seconds += seconds

    def examine(self) -> Shortage | None:
        asyncio.run(self.shortage.check())
        return self.shortage.last()


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_last_time_that_descriptors_were_scarce_stays_with_its_reason_and_its_begin():
    box = Box()
    assert box.examine() is None

    reason = box.fault = "the daemon uses 198 of its 256 descriptors; ss -tn"
    assert box.examine() == Shortage(at(1), at(1), reason)
    assert box.examine() == Shortage(at(1), at(2), reason)
    box.fault = None
    assert box.examine() == Shortage(at(1), at(2), reason)
    box.pass_s(300 - 1)
    box.fault = reason
    assert box.examine() == Shortage(at(1), at(302), reason)
    box.pass_s(301 - 1)
    assert box.examine() == Shortage(at(603), at(603), reason)  # another shortage


def test_a_reader_of_the_last_shortage_changes_nothing():
    box = Box()
    box.metrics.count("http_refused", reason="no-descriptor")

    assert box.shortage.last() is None
    noted = box.examine()
    assert noted is not None
    assert box.shortage.last() == noted


@pytest.mark.parametrize(
    ("counter", "labels"), [("http_refused", {}), ("tftp_refused", {"interface": "eth0"})], ids=["http", "tftp"]
)
def test_a_machine_that_was_refused_for_them_counts_once_and_other_refusals_do_not(
    counter: str, labels: dict[str, str]
):
    box = Box()
    box.metrics.count(counter, **labels, reason="busy")
    assert box.examine() is None

    box.metrics.count(counter, **labels, reason="no-descriptor")
    first = box.examine()
    assert first is not None
    assert first.at == START + timedelta(seconds=1)
    assert first.reason.startswith("1 requests of machines were refused for that since its start; ")
    assert box.examine() == first
    box.metrics.count(counter, **labels, reason="no-descriptor")
    second = box.examine()
    assert second is not None
    assert second.at == START + timedelta(seconds=2)

"""No alarm in boots that go well, with default limits and with learned ones; one in each step that does not come."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from fixtures.boot_cases import boot_cases, is_recorded, recorded_boot
from fixtures.watched_boots import WatchedBoots

from netboot.model.boot.boot_fold import after_event
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.expected_durations import BLOCKED_PORT_S, ExpectedDurations
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
S = Step

# When each step of an install came, in seconds since power-on, and when its pull ended.
# lab-install.md, measured in the lab: one guest, and two at once with systemd.
LAB = (5, 7, 8.5, 9, 9.6, 13.5, 14.5, 16, 17, 20, 30.6, 32, 33.7, 41.7, 45.9, 47.9)
TWO_IN_THE_LAB = (5, 8, 10, 11, 12, 15, 17, 19, 20, 21, 40, 44, 46, 55, 60, 67)
# Built from wire.md and field.md: DISCOVERs until 28 s, a port that STP blocks for a minute whenever the link restarts,
# 100 Mbit/s, a pull of many files, hard disks, and a reset of 15 minutes.
SLOW_SERVER = (0, 30, 95, 97, 107, 200, 260, 330, 350, 380, 1300, 1500, 1620, 2520, 2680, 2920)
# The same rack with flash disks and portfast, 40 servers at once on 1 Gbit/s.
FORTY_SERVERS = (0, 5, 14, 16, 56, 90, 320, 345, 350, 370, 1900, 1940, 1960, 2260, 2320, 2390)
INSTALLS = {"lab": LAB, "two-in-the-lab": TWO_IN_THE_LAB, "slow-server": SLOW_SERVER, "forty-servers": FORTY_SERVERS}

_EVENTS: dict[Step, tuple[str, dict[str, Any]]] = {
    S.OFFER: ("boot.offered", {"kind": "loader", "boot_file": "snponly.efi"}),
    S.LOADER: ("boot.loader_sent", {"name": "snponly.efi"}),
    S.SCRIPT: ("boot.script_served", {"plan": "install"}),
    S.INSTALLING: ("install.moved", {"by": "reported-started"}),
    S.INSTALLED: ("install.moved", {"by": "reported-done"}),
    S.LOCAL_BOOT: ("boot.offered", {"kind": "local-disk", "boot_file": None}),
    S.READY: ("install.moved", {"by": "reported-ready"}),
}
STEPS = [step for step in Step if step not in (S.PXE_REQUEST, S.FAILED)]


@dataclass(frozen=True)
class Happened:
    """An event of an install: seconds since power-on, step, name, data."""

    at_s: float
    step: Step
    name: str
    data: dict[str, Any]


def install(times: Sequence[float]) -> list[Happened]:
    """Return the events of an install whose steps came at these times."""
    *before, pulled, post, installed, local, ignition, ready = times
    found = [_happened(at_s, step) for at_s, step in zip(before, STEPS, strict=False)]
    began = found.pop().at_s
    for percent in range(5, 101, 5):
        at_s = began + (pulled - began) * percent / 100
        found.append(Happened(at_s, S.OSTREE, "boot.content_pulled", {"percent": percent}))
    rest = zip((post, installed, local, ignition, ready), STEPS[STEPS.index(S.POST) :], strict=True)
    return [*found, *(_happened(at_s, step) for at_s, step in rest)]


def _happened(at_s: float, step: Step) -> Happened:
    name, data = _EVENTS.get(step, ("boot.content_sent", {}))
    return Happened(at_s, step, name, data)


def events_of(happened: Iterable[Happened], host: str = "cp1") -> list[Event]:
    mac = Mac("52:54:00:aa:bb:01")
    return [
        Event(each.name, BEGIN + timedelta(seconds=each.at_s), HostName(host), mac, each.step, each.data)
        for each in happened
    ]


def with_noise(happened: Sequence[Happened], random: Random) -> list[Happened]:
    """Let each part of a boot take between 0.7 and 1.4 times as long."""
    found, at_s, before_s = [], 0.0, happened[0].at_s
    for each in happened:
        at_s += (each.at_s - before_s) * random.uniform(0.7, 1.4)
        before_s = each.at_s
        found.append(replace(each, at_s=at_s))
    return found


def alarms(events: Iterable[Event], durations: ExpectedDurations) -> list[Step]:
    """Replay the events of one machine; return the steps that were overdue before their event, or at the end."""
    boot: BootRecord | None = None
    found = []
    for event in events:
        wait = durations.wait_of(boot) if boot is not None else None
        if wait is not None and wait.is_overdue(event.at):
            found.append(wait.step)
        boot = after_event(boot, event).boot
    return found


def learned_from(boots: Iterable[Sequence[Event]]) -> ExpectedDurations:
    return ExpectedDurations().after(each for events in boots for each in _records(events))


def _records(events: Iterable[Event]) -> Iterator[BootRecord]:
    boot: BootRecord | None = None
    for event in events:
        folded = after_event(boot, event)
        if folded.replaced is not None:
            yield folded.replaced
        boot = folded.boot
    if boot is not None:
        yield boot


def recorded() -> dict[str, Sequence[Event]]:
    """Return the healthy boots that the lab recorded, and the good ones among the cases of the causes."""
    healthy = ("bios-ipxe-rescue", "own-disk", "uefi-http", "uefi-http-grub", "uefi-tftp")
    boots = [recorded_boot(name, cause=None) for name in healthy if is_recorded(name)]
    return {str(each): each.events for each in [*boot_cases("good-"), *boots]}


@pytest.mark.parametrize("name", [*INSTALLS, *recorded()])
def test_a_healthy_boot_raises_no_alarm_with_the_default_limits(name: str):
    events = events_of(install(INSTALLS[name])) if name in INSTALLS else recorded()[name]

    assert alarms(events, ExpectedDurations()) == []


@pytest.mark.parametrize("name", INSTALLS)
def test_ten_similar_boots_teach_limits_that_no_further_one_exceeds(name: str):
    for seed in range(30):
        random = Random(seed)
        boots = [events_of(with_noise(install(INSTALLS[name]), random)) for _ in range(40)]
        durations = learned_from(boots[:10])
        assert all(durations.of(step, boot.loader).boots == 10 for boot in _records(boots[0]) for step in STEPS[1:])

        assert [alarms(each, durations) for each in boots[10:]] == [[]] * 30


@pytest.mark.parametrize("name", recorded())
def test_a_recorded_boot_raises_no_alarm_with_limits_learned_from_ten_like_it(name: str):
    events = recorded()[name]
    for seed in range(20):
        random = Random(seed)
        durations = learned_from([_stretched(events, random) for _ in range(10)])
        assert alarms(events, durations) == []
        assert alarms(_stretched(events, random), durations) == []


def _stretched(events: Sequence[Event], random: Random) -> list[Event]:
    """Let each part of a recorded boot take between 0.7 and 1.4 times as long."""
    found, at, before = [], events[0].at, events[0].at
    for event in events:
        at += (event.at - before) * random.uniform(0.7, 1.4)
        before = event.at
        found.append(replace(event, at=at))
    return found


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_port_that_is_blocked_for_a_minute_in_a_rack_of_fast_boots_raises_no_alarm(step: Step):
    fast = install(LAB)
    durations = learned_from([events_of(fast)] * 10)
    first = next(number for number, each in enumerate(fast) if each.step is step)
    blocked = [*fast[:first], *(replace(each, at_s=each.at_s + BLOCKED_PORT_S) for each in fast[first:])]

    assert alarms(events_of(blocked), durations) == []


@pytest.mark.parametrize("is_learned", [False, True], ids=["default", "learned"])
def test_each_step_that_does_not_come_raises_one_alarm_within_its_limit(
    with_watched_boots: Callable[..., Any], is_learned: bool
):
    happened = install(LAB)

    async def scenario(boots: WatchedBoots) -> None:
        if is_learned:
            boots.durations.now = learned_from([events_of(happened)] * 10)
        for number in range(1, len(happened)):
            clock_s = happened[0].at_s
            for each in happened[:number]:
                assert await boots.wait(each.at_s - clock_s) == []
                clock_s = each.at_s
                boots.reaches(each.step, each.name, **each.data)
            boot = boots.recorder.newest(HostName("cp1"))
            assert boot is not None
            wait = boots.durations.now.wait_of(boot)
            assert wait is not None
            left_s = (wait.overdue_at - boots.clock.now()).total_seconds()
            assert await boots.wait(left_s - 1) == []
            assert await boots.wait(11) == [("cp1", wait.step)]
            assert await boots.wait(600) == []

    with_watched_boots(scenario)

"""Expected durations: the documented defaults, what is learned from the boots of a rack, and what a boot waits for."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from netboot.model.boot.boot_record import BootEnd, BootPlan, BootRecord, BootStep
from netboot.model.boot.expected_durations import (
    FEWEST_BOOTS,
    LONGEST_LEARNED,
    NEWEST_BOOTS,
    WAITED_FOR,
    Expected,
    ExpectedDurations,
    Wait,
    default_of,
    usual_text,
)
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
UEFI = LoaderKind.IPXE_UEFI
S = Step
DURATIONS = [step for step in Step if step is not S.FAILED]
EVENTS = Path(__file__).parents[2] / "docs" / "events.md"

healthy = some.floats(0.01, 240.0)
steps = some.sampled_from(DURATIONS)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def boot(*reached: BootStep, plan: BootPlan = BootPlan.INSTALL, loader: LoaderKind = UEFI) -> BootRecord:
    return BootRecord(CP1, MAC, BEGIN, reached[-1].last_at if reached else BEGIN, loader, plan=plan, steps=reached)


def step(step: Step, seconds: float, took_s: float | None = None, percent: int | None = None) -> BootStep:
    return BootStep(step, at(seconds), at(seconds), took_s, percent=percent)


def ended(*took: tuple[Step, float], loader: LoaderKind = UEFI) -> BootRecord:
    """A boot that has ended; its steps took so many seconds."""
    reached = [step(each, number, took_s) for number, (each, took_s) in enumerate(took)]
    return replace(boot(*reached, step(S.READY, 9000), loader=loader), end=BootEnd.READY, ended_at=at(9000))


def learned(each: Step, seconds: Sequence[float]) -> Expected:
    return ExpectedDurations().after(ended((each, took_s)) for took_s in seconds).of(each, UEFI)


def test_the_defaults_are_those_of_the_documentation():
    section = EVENTS.read_text().partition("## Expected durations")[2].partition("\n## ")[0]
    general, of_loaders = {}, {}
    for loader, name, numbers in re.findall(r"^\| ([\w-]+) \| `([\w-]+)` \| ([\d, ]+) \|", section, re.MULTILINE):
        rows, kinds = (general, list(LoaderKind)) if loader == "any" else (of_loaders, [LoaderKind(loader)])
        rows |= {(Step(name), each): Expected(*map(float, numbers.split(", "))) for each in kinds}

    assert general | of_loaders == {(each, kind): default_of(each, kind) for each in DURATIONS for kind in LoaderKind}


def test_every_default_has_a_limit_above_its_p95_and_a_p95_above_its_median():
    for each in DURATIONS:
        for loader in LoaderKind:
            found = default_of(each, loader)
            assert 0 < found.median_s < found.p95_s < found.limit_s
            assert found.boots == 0


def test_few_boots_leave_the_default():
    few = [ended((S.SCRIPT, 8.0))] * (FEWEST_BOOTS - 1)
    known = ExpectedDurations().after(few)

    assert ExpectedDurations().of(S.SCRIPT, UEFI) == known.of(S.SCRIPT, UEFI) == default_of(S.SCRIPT, UEFI)
    assert known.after(few[:1]).of(S.SCRIPT, UEFI) == Expected(8.0, 8.0, 84.0, FEWEST_BOOTS)


def test_a_step_is_learned_for_one_kind_of_loader():
    known = ExpectedDurations().after([ended((S.SCRIPT, 8.0))] * 10)

    assert known.of(S.SCRIPT, LoaderKind.GRUB) == default_of(S.SCRIPT, LoaderKind.GRUB)
    assert known.of(S.KICKSTART, UEFI) == default_of(S.KICKSTART, UEFI)


def test_a_transfer_keeps_the_default_limit_because_machines_share_the_link():
    assert learned(S.STAGE2, [6.0] * 10) == Expected(6.0, 6.0, 300.0, 10)
    assert learned(S.STAGE2, [400.0] * 10) == Expected(400.0, 400.0, 600.0, 10)


def test_a_reset_keeps_the_default_limit_because_other_models_of_servers_need_longer():
    assert learned(S.LOCAL_BOOT, [20.0] * 10) == Expected(20.0, 20.0, 1200.0, 10)


def test_boots_of_unregistered_machines_and_steps_without_duration_teach_nothing():
    nobody = [replace(ended((S.SCRIPT, 8.0)), host=None)] * 10
    unmeasured = [replace(ended(), steps=(step(S.OFFER, 0), step(S.SCRIPT, 4), step(S.FAILED, 9, 5.0)))] * 10

    assert ExpectedDurations().after([*nobody, *unmeasured]) == ExpectedDurations()


def test_a_pull_at_which_a_boot_ended_teaches_nothing():
    cut = replace(boot(step(S.INSTALLING, 0), step(S.OSTREE, 9, 9.0, 40)), end=BootEnd.REPLACED)

    assert ExpectedDurations().after([cut] * 10).of(S.OSTREE, UEFI) == default_of(S.OSTREE, UEFI)


def test_only_the_newest_boots_count():
    found = learned(S.SCRIPT, [100.0] * 10 + [8.0] * NEWEST_BOOTS)

    assert found == Expected(8.0, 8.0, 84.0, NEWEST_BOOTS)


@given(steps, some.lists(healthy, min_size=FEWEST_BOOTS, max_size=60))
def test_what_is_learned_lies_within_the_durations_and_its_limit_leaves_a_margin(each: Step, seconds: list[float]):
    found = learned(each, [min(took_s, default_of(each, UEFI).limit_s) for took_s in seconds])

    assert min(seconds) <= found.median_s or found.median_s == default_of(each, UEFI).limit_s
    assert found.median_s <= found.p95_s <= max(seconds)
    assert found.limit_s >= found.p95_s + max(10.0, found.p95_s / 2)
    assert found.limit_s >= min(default_of(each, UEFI).limit_s, 3 * found.p95_s + 60)


@given(steps, some.lists(healthy, min_size=10, max_size=19), some.floats(0, 14400), some.integers(0, 19))
def test_one_boot_with_a_fault_does_not_raise_the_limit_above_that_of_the_slowest_healthy_boot(
    each: Step, seconds: list[float], outlier_s: float, place: int
):
    seconds = [min(took_s, default_of(each, UEFI).limit_s) for took_s in seconds]

    found = learned(each, [*seconds[:place], outlier_s, *seconds[place:]])

    assert found.limit_s <= learned(each, [max(seconds)] * 10).limit_s


@given(steps, some.floats(1.0, 60.0), some.floats(1.0, 4.0))
def test_a_rack_that_becomes_slower_is_followed_at_its_second_slow_boot(each: Step, usual_s: float, times: float):
    slow_s = min(usual_s * times, LONGEST_LEARNED * default_of(each, UEFI).limit_s)

    found = learned(each, [usual_s] * 10 + [slow_s] * 2)

    assert found.limit_s > slow_s or found.limit_s == default_of(each, UEFI).limit_s


@given(steps, some.lists(healthy, min_size=FEWEST_BOOTS, max_size=40))
def test_boots_learned_one_by_one_and_at_once_are_the_same(each: Step, seconds: list[float]):
    boots = [ended((each, took_s)) for took_s in seconds]
    one_by_one = ExpectedDurations()
    for one in boots:
        one_by_one = one_by_one.after([one])

    assert one_by_one == ExpectedDurations().after(boots)


def test_each_step_that_is_measured_is_learned_at_once():
    known = ExpectedDurations()
    for _ in range(FEWEST_BOOTS):
        known = known.after_step(boot(), step(S.SCRIPT, 8, 8.0))

    assert known == ExpectedDurations().after([ended((S.SCRIPT, 8.0))] * FEWEST_BOOTS)
    assert known.of(S.SCRIPT, UEFI).boots == FEWEST_BOOTS


def test_every_step_that_a_boot_waits_for_has_words():
    assert WAITED_FOR.keys() == set(DURATIONS)
    assert usual_text(12.0, 96.0, 17) == "usually 12 s, at most 1 min 36 s; from 17 boots here"
    assert usual_text(12.0, 96.0, 0) == "usually 12 s, at most 1 min 36 s; the default"


def test_a_boot_waits_for_its_next_step_since_the_last_event_of_the_one_before():
    known = ExpectedDurations().after([ended((S.KICKSTART, 20.0))] * 5)
    waits = known.wait_of(boot(step(S.SCRIPT, 4), replace(step(S.INITRD, 9), last_at=at(12))))

    assert waits == Wait(S.KICKSTART, at(12), Expected(20.0, 20.0, 120.0, 5))
    assert waits.overdue_at == at(132)
    assert [waits.is_overdue(at(seconds)) for seconds in (12, 132, 132.1)] == [False, False, True]


def test_a_boot_that_has_ended_or_waits_for_an_operator_waits_for_nothing():
    known = ExpectedDurations()

    assert known.wait_of(ended((S.SCRIPT, 8.0))) is None
    assert known.wait_of(boot(step(S.LOADER, 2), plan=BootPlan.WAIT)) is None
    assert known.wait_of(boot(plan=BootPlan.LOCAL_DISK)) is None
    assert known.wait_of(replace(boot(step(S.INITRD, 9)), reason="no release")) is None


def test_a_boot_without_a_step_waits_since_it_began():
    waits = ExpectedDurations().wait_of(boot(plan=BootPlan.UNDECIDED))

    assert waits == Wait(S.OFFER, BEGIN, default_of(S.OFFER, UEFI))


def test_a_pull_under_way_is_waited_for_since_it_began_and_the_next_step_follows_its_end():
    known = ExpectedDurations()
    pulls = boot(step(S.INSTALLING, 100), step(S.OSTREE, 150, 50.0, 40))
    late = boot(step(S.INSTALLING, 100), replace(step(S.OSTREE, 150, None, 40), last_at=at(170)))
    pulled = boot(step(S.INSTALLING, 100), step(S.OSTREE, 400, 300.0, 100))

    assert known.wait_of(pulls) == Wait(S.OSTREE, at(100), default_of(S.OSTREE, UEFI))
    assert known.wait_of(late) == Wait(S.OSTREE, at(150), default_of(S.OSTREE, UEFI))
    assert known.wait_of(pulled) == Wait(S.POST, at(400), default_of(S.POST, UEFI))

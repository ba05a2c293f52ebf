"""One record of each boot, whose packets several appliances on one store received: each has stored a record of its own.

Pure. Nothing in a record names its appliance: two records are of one boot if they began at almost the same time, and
neither had ended when the other one began.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import reduce
from itertools import pairwise

from netboot.model.boot.boot_record import (
    LONGEST_STEP,
    BootEnd,
    BootFacts,
    BootPlan,
    BootRecord,
    BootStep,
)
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.install.event import Step


def merged_boots(records: Iterable[BootRecord]) -> list[BootRecord]:
    """Return one record of each boot, the oldest first."""
    boots: list[list[BootRecord]] = []
    for record in sorted(records, key=lambda each: each.began_at):
        same = next((boot for boot in reversed(boots) if all(_is_one_boot(each, record) for each in boot)), None)
        if same is not None:
            same.append(record)
        else:
            boots.append([record])
    return [reduce(_merged, boot) for boot in boots]


def _is_one_boot(earlier: BootRecord, later: BootRecord) -> bool:
    if (earlier.host, earlier.mac) != (later.host, later.mac) or not earlier.is_same_boot(later):
        return False
    if earlier.ended_at is None:
        return True
    if earlier.end is BootEnd.REPLACED:  # by the boot of `later`, if that began nearer to it
        return later.began_at - earlier.began_at < earlier.ended_at - later.began_at
    return later.began_at < earlier.ended_at


def _merged(first: BootRecord, second: BootRecord) -> BootRecord:
    """Merge two records of one boot: the one whose appliance decided what it boots, or that showed more, is first."""
    less, more = sorted((first, second), key=lambda each: (each.plan is not BootPlan.UNDECIDED, each.last_at))
    ended = min((less, more), key=lambda each: (each.end is None, each.end is BootEnd.REPLACED))
    return replace(
        more,
        began_at=min(less.began_at, more.began_at),
        last_at=max(less.last_at, more.last_at),
        loader=less.loader if more.loader is LoaderKind.UNKNOWN else more.loader,
        facts=BootFacts(
            **{
                each.name: getattr(more.facts, each.name) or getattr(less.facts, each.name)
                for each in fields(BootFacts)
            }
        ),
        steps=_merged_steps(less.steps, more.steps),
        skipped=less.skipped & more.skipped,
        is_installed=less.is_installed or more.is_installed,
        overdue=less.overdue | more.overdue,
        broken=more.broken or less.broken,
        end=ended.end,
        ended_at=ended.ended_at,
    )


def _merged_steps(less: Sequence[BootStep], more: Sequence[BootStep]) -> tuple[BootStep, ...]:
    """Return each step once, in the order of their times: of two, the one in which more was sent, or that was later."""
    before: dict[Step, Step | None] = {}  # the step before, in the record from which a step is taken
    found: dict[Step, BootStep] = {}
    for steps in (less, more):
        for index, step in enumerate(steps):
            known = found.get(step.step)
            if known is None or (step.bytes, step.last_at) >= (known.bytes, known.last_at):
                found[step.step], before[step.step] = step, steps[index - 1].step if index else None
    ordered = sorted(found.values(), key=lambda each: each.at)
    result = ordered[:1]
    for earlier, step in pairwise(ordered):
        is_as_measured = before[step.step] is earlier.step
        result.append(step if is_as_measured else replace(step, took_s=_seconds_between(earlier, step)))
    return tuple(result)


def _seconds_between(earlier: BootStep, later: BootStep) -> float | None:
    took = later.last_at - earlier.last_at
    return (
        took.total_seconds()
        if later.took_s is not None and later.at >= earlier.last_at and took <= LONGEST_STEP
        else None
    )

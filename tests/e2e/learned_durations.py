"""Earlier boots of the lab's machines in an appliance's store, from which it learns how long each step takes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from fixtures.boot_cases import BootCase, recorded_boot

from netboot.model.boot.boot_fold import after_event
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.expected_durations import FEWEST_BOOTS
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database

LEARNED: Final = ("uefi-tftp", "uefi-http", "uefi-http-grub")


async def store_earlier_boots(url: str, key_file: Path) -> None:
    """Write as many boots as are needed into a store, each with the durations of a healthy one of the lab."""
    database = await Database.open(url, key_file=key_file)
    try:
        boots = Boots(database)
        for name in LEARNED:
            for boot in boots_of(recorded_boot(name, cause=None)):
                for days in range(1, FEWEST_BOOTS + 1):
                    boots.keep(earlier(boot, timedelta(days=days)))
        await boots.flush()
    finally:
        await database.close()


def boots_of(case: BootCase) -> list[BootRecord]:
    """Return the boots of a recording."""
    boot: BootRecord | None = None
    ended = []
    for event in case.events:
        folded = after_event(boot, event)
        ended += [folded.replaced] if folded.replaced is not None else []
        boot = folded.boot
    return [*ended, boot] if boot is not None else ended


def earlier(boot: BootRecord, by: timedelta) -> BootRecord:
    """Return a boot that took as long, and was earlier."""
    ended_at = boot.ended_at - by if boot.ended_at is not None else None
    steps = tuple(replace(step, at=step.at - by, last_at=step.last_at - by) for step in boot.steps)
    return replace(boot, began_at=boot.began_at - by, last_at=boot.last_at - by, ended_at=ended_at, steps=steps)

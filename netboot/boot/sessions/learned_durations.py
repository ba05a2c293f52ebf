"""The expected durations of this rack: learned from the boots in the store, then from each step that is measured."""

from typing import Final

from netboot.model.boot.boot_record import BootRecord, BootStep
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.store.boots.boot_store import Boots

BOOTS_READ: Final = 1000  # the newest; also boots of the own disk, which teach nothing


class LearnedDurations:
    """Holds what is expected now, one frozen value that each measured step replaces."""

    def __init__(self, boots: Boots) -> None:
        self._boots = boots
        self._is_loaded = False
        self.now = ExpectedDurations()

    async def load_once(self) -> None:
        """Learn from the boots in the store, at the first call; raise StoreError."""
        if not self._is_loaded:
            self.now = ExpectedDurations().after(reversed(await self._boots.newest_of_hosts(BOOTS_READ)))
            self._is_loaded = True

    def step_measured(self, boot: BootRecord, step: BootStep) -> None:
        """Learn from a step whose duration is known now."""
        self.now = self.now.after_step(boot, step)

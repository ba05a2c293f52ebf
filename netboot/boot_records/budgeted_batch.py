"""One batch of lines or packets on its way to the files of boots: what the budget or the disk prevents is dropped."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.record_files import Owner, cure_of
from netboot.store.failure import DISK_CURES


class Written(NamedTuple):
    """What one batch did: lines or packets that were dropped, and what prevents writing now."""

    dropped: Mapping[RecordDrop, int]
    problem: str | None
    is_of_disk: bool = False  # the problem is one of the disk, which may end without a new record


class BudgetedBatch:
    """Counts what is dropped of a batch, and keeps the last problem. Blocks."""

    def __init__(self, budget: DiskBudget, *, file: str, items: str) -> None:
        """`file` and `items` name in messages what is written: a log of lines, a capture of packets."""
        self.dropped: Counter[RecordDrop] = Counter()
        self._budget, self._file, self._items = budget, file, items
        self._problem: str | None = None
        self._is_full = self._is_of_disk = False

    def admit(self, count: int) -> bool:
        """Return whether the budget admits `count` items; drop them otherwise. Raises OSError."""
        self._is_full = self._is_full or not self._budget.keep()  # verified once: it lists all files
        if self._is_full:
            self.dropped[RecordDrop.BUDGET] += count
            self._problem = self._budget.problem(self._items)
        return not self._is_full

    @contextmanager
    def writing(self, owner: Owner, count: int) -> Iterator[None]:
        """Write `count` items of a machine; a fault of the disk drops them."""
        try:
            yield
        except OSError as error:
            self.dropped[RecordDrop.WRITE_FAILED] += count
            what = f"cannot write the {self._file} of {owner} in {self._budget.files.directory}"
            self._problem = f"{what}: {error.strerror}; {cure_of(error)}"
            self._is_of_disk = error.errno in DISK_CURES

    def written(self) -> Written:
        """End the batch."""
        with suppress(OSError):  # a problem of the next batch
            self._budget.keep()
        return Written(+self.dropped, self._problem, self._is_of_disk)

"""The disk that the records of boots take, and which of them are deleted. Blocks: one thread at a time.

Records of unregistered machines have a small part of the budget and are deleted first: any machine on the LAN can fill
them, under many MACs. Then the oldest boots go. No record of a host's running boot is deleted: if all that is left
belongs to such boots, nothing more is written. The store's part of the budget is counted, and never deleted here.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from netboot.boot_records.record_files import Owner, RecordFiles, RecordKind, StoredRecord
from netboot.model.host.mac import Mac

CONTINUED: Final = timedelta(hours=2)  # after a restart of the daemon, records that were written so recently continue
SAME_BOOT: Final = timedelta(seconds=3)  # no machine begins two boots within it
RUNNING: Final = timedelta(hours=1)  # a boot of which nothing was recorded for so long has ended
MACHINES: Final = 8192  # whose last boot is in memory
UNREGISTERED_PART: Final = 8  # one of so many parts of the budget
BOOTS_OF_HOST: Final = 200  # kept at most, so that a machine that restarts all the time displaces no other
BOOTS_OF_UNREGISTERED: Final = 4
SHORT_PART: Final = 4  # one of so many of these boots may be short; a forged DISCOVER begins a short boot
SHORT_BYTES: Final = 16 << 10  # what a capture of a boot that ended before its script has at most
FREED_PART: Final = 128  # one of so many parts of the budget is freed at once, so that few writes list all files
_BLOCK_BYTES: Final = 4096


class DiskBudget:
    """`used` counts the bytes of each kind of record, `store_bytes` what the store takes of the same budget."""

    def __init__(self, files: RecordFiles, budget_bytes: int, *, now: Callable[[], datetime]) -> None:
        self.files, self.budget_bytes = files, budget_bytes
        self.used: Counter[RecordKind] = Counter()
        self.store_bytes = 0
        self._of_unregistered_bytes = 0
        self._now = now
        self._current: dict[Owner, datetime] = {}  # when the boot of each machine began that was recorded last

    @property
    def used_bytes(self) -> int:
        """Return what all records take."""
        return sum(self.used.values())

    @property
    def limit_bytes(self) -> int:
        """Return what records may take beside the store, which never has more than half of the budget."""
        return self.budget_bytes - min(self.store_bytes, self.budget_bytes // 2)

    def open(self) -> None:
        """Count what the records use, and keep the budget, which may be smaller than before; raise OSError."""
        self.files.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.files.remove_parts()
        self._count(self.files.all())
        self.keep()

    def path_of(self, owner: Owner, began_at: datetime | None, kind: RecordKind) -> Path | None:
        """Return the record of a boot; without its beginning, of the boot that is recorded now or was until recently.

        None: there is no such boot.
        """
        current = self._current.get(owner)
        if began_at is None:
            began_at = current or self._recent(owner)
        elif current is None:
            began_at = self._stored(owner, began_at)
        return None if began_at is None else self.begin(owner, began_at, kind)

    def begin(self, owner: Owner, began_at: datetime, kind: RecordKind) -> Path:
        """Return the record of the boot that began at this time, which is the machine's current one from now on."""
        path = self.files.path_of(owner, began_at, kind)
        if self._current.pop(owner, None) != began_at and not path.exists():
            self._keep_few(owner, began_at)
        self._current[owner] = began_at
        if len(self._current) > MACHINES:
            del self._current[self._least_needed()]
        return path

    def note_size(self, owner: Owner, kind: RecordKind, *, before: int, after: int) -> None:
        """Count that a record has another size."""
        change = on_disk(after) - on_disk(before)
        self.used[kind] += change
        if isinstance(owner, Mac):
            self._of_unregistered_bytes += change

    def keep(self) -> bool:
        """Delete records of unregistered machines, then the oldest ones, until the others fit; return whether they do.

        If unregistered machines have more than their part, a quarter of it is freed, so that this is not done again
        for each of their boots. Raise OSError if they do not fit because a record cannot be deleted.
        """
        part_bytes = self.budget_bytes // UNREGISTERED_PART
        is_their_part_full = self._of_unregistered_bytes > part_bytes
        if self.used_bytes < self.limit_bytes and not is_their_part_full:
            return True
        records = self.files.all()
        self._count(records)  # an operator may have deleted some
        theirs = [record for record in records if record.is_of_unregistered]
        their_limit_bytes = part_bytes * 3 // 4 if is_their_part_full else part_bytes
        faults: list[OSError] = []
        for record in theirs:
            if self._of_unregistered_bytes > their_limit_bytes or self.used_bytes >= self.limit_bytes:
                self._delete(record, faults)
        if self.used_bytes >= self.limit_bytes:
            self._delete_oldest([record for record in records if not record.is_of_unregistered], faults)
        fits = self.used_bytes < self.limit_bytes
        if not fits and faults:
            raise faults[0]
        return fits

    def problem(self, what: str) -> str:
        """Return why `what` is not kept."""
        return (
            f"the records of running boots fill records.budget ({self.budget_bytes} bytes), and no more {what} are "
            "kept; set records.budget to more"
        )

    def _recent(self, owner: Owner) -> datetime | None:
        newest = max(self.files.all_of(owner), key=lambda record: record.written_at, default=None)
        return newest.began_at if newest is not None and self._now() - newest.written_at <= CONTINUED else None

    def _stored(self, owner: Owner, began_at: datetime) -> datetime:
        """Return when a boot began as its records have it: after a restart, that is known less exactly."""
        stored = (record.began_at for record in self.files.all_of(owner))
        return next((each for each in stored if abs(each - began_at) < SAME_BOOT), began_at)

    def _least_needed(self) -> Owner:
        """Return the machine whose boot was recorded the longest time ago: an unregistered one, if there is any."""
        return next((owner for owner in self._current if isinstance(owner, Mac)), next(iter(self._current)))

    def _delete_oldest(self, records: Iterable[StoredRecord], faults: list[OSError]) -> None:
        """Delete records of ended boots until the others leave a part of the budget free."""
        wanted_bytes = self.limit_bytes - self.budget_bytes // FREED_PART
        written: dict[Path, datetime] = {}
        for record in records:
            written[record.boot] = max(record.written_at, written.get(record.boot, record.written_at))
        current = [self.files.path_of(owner, at, RecordKind.LOG) for owner, at in self._current.items()]
        running, now = {path.with_suffix("") for path in current}, self._now()
        for record in records:
            if self.used_bytes < wanted_bytes:
                return
            if record.boot not in running or now - written[record.boot] >= RUNNING:
                self._delete(record, faults)

    def _keep_few(self, owner: Owner, began_at: datetime) -> None:
        """Delete the oldest boots of a machine beside this one, first those of many short ones."""
        most = BOOTS_OF_UNREGISTERED if isinstance(owner, Mac) else BOOTS_OF_HOST
        records = self.files.all_of(owner)
        sizes: Counter[datetime] = Counter()
        for record in records:
            sizes[record.began_at] += record.size_bytes
        boots = sorted(sizes.keys() - {began_at})
        short = [boot for boot in boots if sizes[boot] <= SHORT_BYTES]
        candidates = short if len(short) > most // SHORT_PART else boots
        gone = set(candidates[: max(0, len(boots) - most + 1)])
        for record in records:
            if record.began_at in gone:
                self._delete(record, [])

    def _count(self, records: Iterable[StoredRecord]) -> None:
        self.used.clear()
        self._of_unregistered_bytes = 0
        for record in records:
            self._note(record, on_disk(record.size_bytes))

    def _note(self, record: StoredRecord, change_bytes: int) -> None:
        self.used[record.kind] += change_bytes
        if record.is_of_unregistered:
            self._of_unregistered_bytes += change_bytes

    def _delete(self, record: StoredRecord, faults: list[OSError]) -> None:
        """Delete a record; one that cannot be deleted is still counted, and the fault is added."""
        try:
            record.path.unlink(missing_ok=True)
        except OSError as fault:
            faults.append(fault)
            return
        with suppress(OSError):  # it has other records
            record.path.parent.rmdir()
        self._note(record, -on_disk(record.size_bytes))


def on_disk(size_bytes: int) -> int:
    """Return what a file takes of the budget: whole blocks, so that the number of files is bounded."""
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES

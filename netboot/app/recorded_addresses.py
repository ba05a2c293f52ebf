"""Reads the configuration for a command that uses no daemon, with the addresses that the store has recorded."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.errors import ConfigError, StoreError
from netboot.model.host.address_pool import Allocation
from netboot.model.host.host import HostName
from netboot.registry.allocation import NONE_RECORDED, Recorded
from netboot.registry.load import Configuration, WrittenFiles, build, read_written
from netboot.store.read_only_check import read_allocations

_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class RecordedFiles:
    """The files of a configuration, and the recorded addresses; `note`: why these could not be read."""

    written: WrittenFiles
    recorded: Recorded
    note: str | None = None

    def configuration(self) -> Configuration:
        return build(self.written, self.recorded)

    def load(self) -> Configuration:
        """Build the configuration; raise ConfigError with every fault of every file."""
        configuration = self.configuration()
        if configuration.faults:
            raise ConfigError(configuration.faults)
        return configuration

    def notes(self, allocations: Sequence[Allocation], hosts: Collection[HostName]) -> list[str]:
        """List what an operator needs to read about the addresses that these hosts have from pools."""
        new = [each for each in allocations if each.host in hosts and not each.is_recorded]
        if self.note is not None and any(each.host in hosts for each in allocations):
            return [self.note]
        if not new:
            return []
        named = ", ".join(f"{each.host} {each.address}" for each in new[:_NAMED])
        more = f" and {len(new) - _NAMED} more" if len(new) > _NAMED else ""
        return [f"not recorded yet, the daemon records them at its start or a reload: {named}{more}"]


async def read_files(path: Path) -> RecordedFiles:
    """Read the files of the configuration at `path`, and the recorded addresses if it has pools. Raises ConfigError."""
    written = read_written(path)
    if not written.declared.has_pools:
        return RecordedFiles(written, NONE_RECORDED)
    try:
        return RecordedFiles(written, await read_allocations(written.settings.store.url))
    except StoreError as error:
        note = f"the addresses of pools may be others, because those on record cannot be read: {error}"
        return RecordedFiles(written, NONE_RECORDED, note)

"""Reads where each value of a host is written, as the files are now; at most one reading at a time."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from netboot.app.recorded_addresses import read_files
from netboot.model.host.host import HostName
from netboot.operate.planning.explanation import SourcedValue, ValueOrigin, WrittenValues
from netboot.registry.load import ExplainedHost, explain
from netboot.registry.merge import Origin
from netboot.registry.value_origins import ExplainedValue


@dataclass(frozen=True, slots=True, eq=False)
class WrittenHosts:
    """The hosts that the configuration at `path` declares."""

    path: Path
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def values_of(self, name: HostName) -> WrittenValues:
        """Read the values of a host; raise ConfigError, or UnknownHostError for a host that no file declares."""
        async with self._reading:
            return await asyncio.to_thread(_read, self.path, name)


def _read(path: Path, name: HostName) -> WrittenValues:
    files = asyncio.run(read_files(path))
    return written_values(explain(files.written, name, files.recorded))


def written_values(explained: ExplainedHost) -> WrittenValues:
    """Return the values of a host for an operator, without the types of the registry."""
    return WrittenValues([_sourced(value) for value in explained.values], explained.faults)


def _sourced(value: ExplainedValue) -> SourcedValue:
    given = value.allocation
    return SourcedValue(
        value.key,
        value.value,
        tuple(map(_origin, value.origins)),
        tuple(map(_origin, value.overridden)),
        is_allocated=given is not None,
        recorded_at=given.recorded.at if given is not None and given.recorded and given.is_recorded else None,
    )


def _origin(origin: Origin) -> ValueOrigin:
    place = origin.place
    return ValueOrigin(origin.where, place.file, place.line, place.column)

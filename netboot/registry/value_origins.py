"""Lists each value of a host with the places that it comes from and those that it overrides."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netboot.registry.host_sections import HostSection
from netboot.registry.merge import Merged, Origin
from netboot.yamlfile.sections import Section


@dataclass(frozen=True, slots=True)
class ExplainedValue:
    """One value in force; several origins if one layer adds to another's list."""

    key: str  # network.gateway
    value: object
    origins: tuple[Origin, ...]
    overridden: tuple[Origin, ...]


def explained_values(host: Merged[HostSection]) -> list[ExplainedValue]:
    """List the values that some layer of a host sets, in the order of the documentation."""
    return [
        ExplainedValue(".".join(path), value, *map(tuple, host.sources(*path)))
        for path, value in _values(host.values, ())
    ]


def _values(holder: Section | Mapping[str, object], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    names = holder if isinstance(holder, Mapping) else type(holder).key_names()
    for name in names:
        value = holder[name] if isinstance(holder, Mapping) else getattr(holder, name)
        if isinstance(value, Section) and (text := value.as_text()) is not None:
            yield (*path, name), text
        elif isinstance(value, Section | Mapping):
            yield from _values(value, (*path, name))
        elif value is not None:
            yield (*path, name), value

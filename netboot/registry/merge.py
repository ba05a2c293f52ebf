"""The layers of a host's values, `defaults`, its role and itself, and how one layer replaces another's values."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from netboot.registry.host_sections import SharedValues
from netboot.yamlfile.faults import Place
from netboot.yamlfile.nodes import Table, dotted, find_nearest, written_path
from netboot.yamlfile.sections import Section

S = TypeVar("S", bound=Section)
V = TypeVar("V", bound=SharedValues)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value is written: `hosts.yaml:5:13`, `defaults.timezone`."""

    place: Place
    where: str


@dataclass(frozen=True, slots=True)
class ValueLayer(Generic[V]):
    """One table of values with its path in the hosts files."""

    where: str  # hosts.cp1
    table: Table
    values: V

    def origin(self, *path: str) -> Origin | None:
        """Find where this layer sets the value at a path; None if it does not, or if the value was refused."""
        value: object = self.values
        for key in path:
            value = getattr(value, key, None)  # `defaults` has no role
        return None if value is None else self.written(*path)

    def written(self, *path: int | str) -> Origin:
        """Return where a value that this layer has is written."""
        path = written_path(self.table, path)
        return Origin(find_nearest(self.table, path).place, f"{self.where}.{dotted(path)}")


@dataclass(frozen=True, slots=True)
class Merged(Generic[V]):
    """The values in force, and the layers that they come from: the host, its role, the defaults."""

    values: V
    layers: tuple[ValueLayer[Any], ...]

    def origins(self, *path: str) -> list[Origin]:
        """List the places that set a value: first the one in force, then those that it overrides."""
        return [origin for layer in self.layers if (origin := layer.origin(*path)) is not None]


def over(layer: ValueLayer[V], below: Merged[SharedValues]) -> Merged[V]:
    """Put a layer over others: a list replaces a list as a whole, keys of `network` and `ignition` one by one."""
    return Merged(_completed(layer.values, below.values), (layer, *below.layers))


def _completed(own: S, below: Section) -> S:
    """Return the values of a section with its missing ones from the section below."""
    missing: dict[str, Any] = {}
    for key in below.model_fields_set:
        mine, other = getattr(own, key), getattr(below, key)
        if mine is None:
            missing[key] = other
        elif isinstance(mine, Section):
            missing[key] = _completed(mine, other)
    return own.model_copy(update=missing) if missing else own

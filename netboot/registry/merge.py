"""The layers of a host's values: `defaults`, its role, its groups and itself; how one replaces or extends another's.

A value replaces the inherited one; `+NAME` adds to an inherited list; tables of keys are merged key by key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from netboot.registry.host_sections import SharedNetwork, SharedValues
from netboot.yamlfile.faults import Place
from netboot.yamlfile.nodes import Table, dotted, find_nearest, written_path
from netboot.yamlfile.sections import Section

S = TypeVar("S", bound=Section)
V = TypeVar("V", bound=SharedValues)

# The fields of `+NAME`, each with its key in a file.
ADDS: Final[Mapping[str, str]] = {
    name: field.alias
    for section in (SharedValues, SharedNetwork)
    for name, field in section.model_fields.items()
    if field.alias is not None
}


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
    inside: tuple[str, ...] = ()  # where the table is in `values`, if it is only a part

    def origin(self, *path: str) -> Origin | None:
        """Find where this layer sets the value at a path; None if it does not, or if the value was refused."""
        value: object = self.values
        for key in path:  # `defaults` has no role
            value = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
        return None if value is None else self.written(*(ADDS.get(key, key) for key in path))

    def written(self, *path: int | str) -> Origin:
        """Return where a value that this layer has is written."""
        path = written_path(self.table, path[len(self.inside) :])
        return Origin(find_nearest(self.table, path).place, f"{self.where}.{dotted(path)}")


@dataclass(frozen=True, slots=True)
class Merged(Generic[V]):
    """The values in force, and the layers that they come from: the host, its role, the defaults."""

    values: V
    layers: tuple[ValueLayer[Any], ...]

    def origins(self, *path: str) -> list[Origin]:
        """List the places that set a value: first the one in force, then those that it overrides."""
        return [origin for layer in self.layers if (origin := layer.origin(*path)) is not None]

    def sources(self, *path: str) -> tuple[list[Origin], list[Origin]]:
        """List the places of the value in force, several if one layer adds to another's list; and those overridden."""
        in_force: list[Origin] = []
        overridden: list[Origin] = []
        added_path, is_replaced = (*path[:-1], f"added_{path[-1]}"), False
        for layer in self.layers:
            found = [origin for each in (added_path, path) if (origin := layer.origin(*each)) is not None]
            (overridden if is_replaced else in_force).extend(found)
            is_replaced = is_replaced or layer.origin(*path) is not None
        return in_force, overridden


NOTHING: Final = Merged(SharedValues(), ())  # below the lowest layer


def over(layer: ValueLayer[V], below: Merged[SharedValues]) -> Merged[V]:
    """Put a layer over others."""
    return Merged(_completed(layer.values, below.values), (layer, *below.layers))


def _completed(own: S, below: Section) -> S:
    """Return the values of a section with its missing ones from the section below; no `+NAME` is left."""
    changed: dict[str, Any] = {}
    for key in below.model_fields_set | own.model_fields_set:
        mine, other = getattr(own, key), getattr(below, key, None)
        match mine:
            case None if other is not None:
                changed[key] = other
            case Section() if not mine.is_whole:
                changed[key] = _completed(mine, other or type(mine)())
            case Mapping() if other:
                changed[key] = {**other, **mine}
            case _:
                pass
    for key in own.model_fields_set & ADDS.keys():
        name, more = ADDS[key].removeprefix("+"), getattr(own, key)
        items = changed.get(name, getattr(own, name)) or ()
        changed |= {name: (*items, *(item for item in more or () if item not in items)), key: None}
    return own.model_copy(update=changed) if changed else own

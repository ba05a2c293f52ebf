"""Lists each value of a host with the places that it comes from and those that it overrides."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netboot.model.host.address_pool import Allocation
from netboot.model.host.host_secrets import argument_shown, variable_shown
from netboot.registry.host_sections import HostSection
from netboot.registry.merge import Merged, Origin
from netboot.registry.sections.pool_section import POOL_KEYS
from netboot.yamlfile.sections import Section


@dataclass(frozen=True, slots=True)
class ExplainedValue:
    """One value in force; several origins if one layer adds to another's list."""

    key: str  # network.gateway
    value: object
    origins: tuple[Origin, ...]
    overridden: tuple[Origin, ...]
    allocation: Allocation | None = None  # of an address from a pool


def explained_values(host: Merged[HostSection], given: Mapping[str, Allocation]) -> list[ExplainedValue]:
    """List the values that some layer of a host sets, in the order of the documentation, and those it has from a pool.

    `given`: the address of the pool, by its key below `network`.
    """
    return [_explained(host, path, _shown(path, value), given) for path, value in _values(host.values, ())]


def _explained(
    host: Merged[HostSection], path: tuple[str, ...], value: object, given: Mapping[str, Allocation]
) -> ExplainedValue:
    allocation = given.get(path[-1]) if path[0] == "network" else None
    if allocation is None:
        in_force, overridden = host.sources(*path)
        return ExplainedValue(".".join(path), value, tuple(in_force), tuple(overridden))
    pool = next(layer for layer in host.layers if layer.where == f"address_pools.{host.values.network.pool}")
    origin = pool.written("network", POOL_KEYS[path[-1]])
    return ExplainedValue(".".join(path), value, (origin,), (), allocation)


def _shown(path: tuple[str, ...], value: object) -> object:
    """Return a value without what it has of secrets."""
    match path, value:
        case ("variables", name), str():
            return variable_shown(name, value)
        case ("kernel_arguments",), tuple():
            return tuple(map(argument_shown, value))
        case _:
            return value


def _values(holder: Section | Mapping[str, object], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    names = holder if isinstance(holder, Mapping) else type(holder).key_names()
    for name in names:
        value = holder[name] if isinstance(holder, Mapping) else getattr(holder, name)
        if isinstance(value, Section) and (text := value.as_text()) is not None:
            yield (*path, name), text
        elif isinstance(value, Section | Mapping):
            yield from _values(value, (*path, name))
        elif value is not None:
            yield (*path, name), tuple(map(_item, value)) if isinstance(value, tuple) else value


def _item(item: object) -> object:
    """Return an item of a list as it can be written: the keys of a table, or the text that stands for it."""
    if not isinstance(item, Section):
        return item
    text = item.as_text()
    return (
        {key: getattr(item, key) for key in item.key_names() if key in item.model_fields_set} if text is None else text
    )

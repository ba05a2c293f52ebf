"""The text of a file that declares one host, as commands write it and read it back.

A command changes only a file that it would write exactly so: a comment or another style of a person is never lost.
"""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final, get_args, get_origin

from netboot.errors import HostFileError
from netboot.registry.host_files import HostsFile
from netboot.registry.host_sections import HostSection
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import find
from netboot.yamlfile.plain_values import PlainValue, plain_value, yaml_text
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import Section

Values = Mapping[str, PlainValue]

HEAD: Final = "# Written by netboot. `netboot host set` changes it as long as it has this form and no other comment.\n"


def host_text(name: str, values: Values) -> str:
    """Write the file of a host; a single value of a key that takes a list becomes a list."""
    return HEAD + yaml_text({"hosts": {name: _with_lists(values, "")}})


def patched(values: PlainValue, patch: Values) -> dict[str, PlainValue]:
    """Apply a JSON merge patch (RFC 7396): None removes a key. A table without keys is removed as well."""
    result = dict(values) if isinstance(values, Mapping) else {}
    for key, value in patch.items():
        new = patched(result.get(key), value) if isinstance(value, Mapping) else value
        if new is None or new == {}:
            result.pop(key, None)
        else:
            result[key] = new
    return result


def values_in(name: str, file: HostsFile) -> Values:
    """Return the values in the file of a host; raise HostFileError with the line that a command would not keep."""
    text = file.text or ""
    node = find(parse(text, file.path, Faults()), ("hosts", name)) if text.startswith(HEAD) else None
    values = plain_value(node) if node is not None else None
    kept = host_text(name, values) if isinstance(values, Mapping) else HEAD
    if kept != text:
        lines = enumerate(zip_longest(text.splitlines(), kept.splitlines()), 1)
        line = next((number for number, (mine, other) in lines if mine != other), 1)
        raise HostFileError(
            f"{file.path}:{line}: {name}: this line was written by a person, and a command would not keep it; "
            f"edit {file.path}, then netboot reload"
        )
    assert isinstance(values, Mapping)
    return values


def _with_lists(values: Values, path: str) -> dict[str, PlainValue]:
    found: dict[str, PlainValue] = {}
    for key, value in values.items():
        where = f"{path}{key}"
        if isinstance(value, Mapping):
            found[key] = _with_lists(value, f"{where}.")
        else:
            found[key] = [value] if where in _LISTS and not isinstance(value, list | tuple) else value
    return found


def _lists(section: type[Section], path: str) -> Iterator[str]:
    """Find the keys that take only a list."""
    for name, field in section.model_fields.items():
        where = f"{path}{field.alias or name}"
        kinds: tuple[Any, ...] = get_args(field.annotation) or (field.annotation,)
        if any(get_origin(kind) is tuple for kind in kinds):
            yield where
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from _lists(kind, f"{where}.")


_LISTS: Final = frozenset(_lists(HostSection, ""))

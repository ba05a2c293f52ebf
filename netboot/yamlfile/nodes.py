"""The nodes of a YAML file: scalars as written, lists and tables, each with its place.

YAML 1.2, core schema (yaml.org/spec/1.2.2 §10.3), but only on demand: a scalar keeps its text, and the reader of a
setting converts it to a whole number or a boolean. So `52:54:00:12:34:56`, `1.30`, `no` and `on` stay text, where plain
PyYAML (YAML 1.1) makes 41135085296, 1.3, False and True of them.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from netboot.yamlfile.faults import Place

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value or key as it was written; `plain` if it has no quotes."""

    place: Place
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """The value is missing or a plain null."""
        return self.plain and self.text in _NULLS

    def as_boolean(self) -> bool | None:
        """Read a plain `true` or `false`; None for all else, also for `yes` and `on`."""
        return _BOOLEANS.get(self.text) if self.plain else None

    def as_integer(self) -> int | None:
        """Read a plain whole number: decimal, `0o17` or `0x1f`; None for all else."""
        if not self.plain or not _INTEGER.fullmatch(self.text):
            return None
        return int(self.text, {"0o": 8, "0x": 16}.get(self.text[:2], 10))


@dataclass(frozen=True, slots=True)
class Listing:
    """A YAML sequence."""

    place: Place
    items: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True)
class TableEntry:
    key: Scalar
    value: "Node"


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping; its keys are unique text."""

    place: Place
    entries: dict[str, TableEntry] = field(default_factory=dict)


Node = Scalar | Listing | Table
KeyPath = tuple[int | str, ...]  # keys of tables and indexes of lists


def find(node: Node | None, path: KeyPath) -> Node | None:
    """Find the value at a path; None if the file does not have it."""
    for step in path:
        match node, step:
            case Table(), str() if step in node.entries:
                node = node.entries[step].value
            case Listing(), int() if step < len(node.items):
                node = node.items[step]
            case _:
                return None
    return node


def find_nearest(node: Node, path: KeyPath) -> Node:
    """Find the value at a path, or the innermost value around it that the file has."""
    found = (find(node, path[:length]) for length in range(len(path), -1, -1))
    return next(each for each in found if each is not None)


def written_path(node: Node, path: KeyPath) -> KeyPath:
    """Shorten a path that leads into a single value: the abbreviation of a table, or of a list of one."""
    prefixes = (path[:length] for length in range(len(path)))
    return next((prefix for prefix in prefixes if isinstance(find(node, prefix), Scalar)), path)


def dotted(path: KeyPath) -> str:
    """Write a path as operators read it: `network.interfaces[0].name`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")

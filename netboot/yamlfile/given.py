"""A value of a file with its path and place for messages, and the list of faults."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from netboot.yamlfile.faults import Faults, Place, did_you_mean
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table, TableEntry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """A node of the tree, read as an expected type; a wrong type adds a fault and returns None."""

    node: Node
    where: str
    faults: Faults

    @property
    def place(self) -> Place:
        """Where it is written."""
        return self.node.place

    def refuse(self, what: str, cure: str) -> None:
        """Add a fault: this value cannot be used."""
        self.faults.add(self.place, self.where, what=what, cure=cure)

    def text(self) -> str | None:
        """Return the text of a single value."""
        match self.node:
            case Scalar() as scalar if scalar.is_null or not scalar.text:
                self.refuse("is empty", "write a value or remove the key")
            case Scalar(text=text):
                return text
            case Listing() | Table():
                self.refuse("must be one value", "write a single word, number or path")
        return None

    def items(self) -> "list[Given] | None":
        """Return the members of a list."""
        if isinstance(self.node, Scalar) and self.node.is_null:
            self.refuse("is empty", "write a list or remove the key")
            return None
        if not isinstance(self.node, Listing):
            self.refuse("must be a list", "write it in brackets: [first, second]")
            return None
        return [Given(item, f"{self.where}[{index}]", self.faults) for index, item in enumerate(self.node.items)]

    def table(self, known: Iterable[str] | None = None) -> "dict[str, Given]":
        """Return the values of a table by key; with `known`, refuse every other key. An empty one has none."""
        if isinstance(self.node, Scalar) and self.node.is_null:
            return {}
        if not isinstance(self.node, Table):
            self.refuse("must be a table of keys", "write `key: value` pairs below it")
            return {}
        return held(self.node.entries.values(), self.where, self.faults, known=known)


@dataclass(frozen=True, slots=True)
class Said(Generic[T]):
    """A value and the node that it was read from."""

    value: T
    given: Given


def held(
    entries: Iterable[TableEntry], where: str, faults: Faults, *, known: Iterable[str] | None = None
) -> dict[str, Given]:
    """Return the values of entries by key; with `known`, refuse every other key."""
    names = None if known is None else frozenset(known)
    values: dict[str, Given] = {}
    for entry in entries:
        name = entry.key.text
        path = f"{where}.{name}" if where else name
        if names is not None and name not in names:
            faults.add(entry.key.place, path, what="no such key", cure=did_you_mean(name, names))
        else:
            values[name] = Given(entry.value, path, faults)
    return values

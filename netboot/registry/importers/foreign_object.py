"""One object of an imported file: a Kubernetes object, or a configuration of `ocne`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table, dotted, find


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """A table with the texts in it. A value that is missing, null or empty is None."""

    table: Table

    @property
    def place(self) -> Place:
        return self.table.place

    @property
    def kind(self) -> str:
        found = self.text("kind")
        return found.text if found else ""

    @property
    def api_group(self) -> str | None:
        """The group in `apiVersion`: empty for `v1`, None if there is no version."""
        version = self.text("apiVersion")
        return None if version is None else version.text.rpartition("/")[0]

    @property
    def name(self) -> Scalar | None:
        return self.text("metadata", "name")

    @property
    def namespace(self) -> str:
        found = self.text("metadata", "namespace")
        return found.text if found else ""

    @property
    def full_name(self) -> str:
        """Kind, namespace and name, for comments and messages."""
        name = self.name.text if self.name else ""
        return f"{self.kind} {self.namespace}/{name}" if self.namespace else f"{self.kind} {name}"

    def text(self, *path: str) -> Scalar | None:
        """Return the text at a path, without the line end of a block (`|`)."""
        found = find(self.table, path)
        if not isinstance(found, Scalar) or found.is_null or not found.text.strip():
            return None
        return replace(found, text=found.text.strip())

    def entries(self, *path: str) -> dict[str, Node]:
        """Return the values of a table, by key; empty if there is no table."""
        found = find(self.table, path)
        return {name: entry.value for name, entry in found.entries.items()} if isinstance(found, Table) else {}

    def needed_text(self, *path: str, faults: Faults) -> Scalar | None:
        """Return a text that must be there; None with a fault if it is not."""
        found, node = self.text(*path), find(self.table, path)
        where = " ".join(filter(None, (self.full_name.strip(), dotted(path))))
        if isinstance(node, Table | Listing):
            faults.add(node.place, where, what="must be one value", cure="write a text, or leave the object out")
        elif found is None:
            faults.add(self.place, where, what="is missing", cure="write it, or leave the object out")
        return found


def objects_in(documents: Sequence[Node], faults: Faults) -> Iterator[ForeignObject]:
    """Yield the objects of all documents, and those of a list as `kubectl get` prints it."""
    for document in documents:
        match document:
            case Table():
                found = ForeignObject(document)
                items = find(document, ("items",))
                if found.kind.endswith("List") and isinstance(items, Listing):
                    yield from _items(items, faults)
                else:
                    yield found
            case Scalar(is_null=True):
                continue
            case _:
                faults.add(document.place, "", what="is not a table of keys", cure="name a file of one of the formats")


def _items(items: Listing, faults: Faults) -> Iterator[ForeignObject]:
    for index, item in enumerate(items.items):
        if isinstance(item, Table):
            yield ForeignObject(item)
        else:
            faults.add(item.place, f"items[{index}]", what="is not a table of keys", cure="remove it")

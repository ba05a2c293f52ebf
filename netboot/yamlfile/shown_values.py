"""Writes a YAML file anew without secrets: only values of keys that a model declares and does not hide. Pure.

A key is hidden by `repr=False` of its field, or by the caller. Comments are left out.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, get_args, get_origin

import yaml

from netboot.model.hidden import HIDDEN, without_secrets
from netboot.yamlfile.faults import Place
from netboot.yamlfile.nodes import KeyPath, Listing, Node, Scalar, Table
from netboot.yamlfile.sections import Section

ValueShown = Callable[[KeyPath, str], str]  # what is shown of a value at a path
_UNKNOWN: Final = object()


def as_written(_path: KeyPath, text: str) -> str:
    return text


def shown_file(
    model: type[Section], tree: Node | None, *, faulty: Collection[Place], value_shown: ValueShown = as_written
) -> str:
    """Return the text of a file; a value at one of the `faulty` places, which is none of its type, is hidden too."""
    shown = None if tree is None else _Shown(faulty, value_shown).value(model, tree, ())
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120)


class _Shown:
    def __init__(self, faulty: Collection[Place], value_shown: ValueShown) -> None:
        self._faulty, self._value_shown = faulty, value_shown

    def value(self, kind: Any, node: Node, path: KeyPath) -> object:
        """Return what is shown of a node that should be of a kind: a type, or a section."""
        kind = _bare(kind)
        match node:
            case Scalar() if node.is_null:
                return None
            case Scalar():
                is_shown = kind is not _UNKNOWN and node.place not in self._faulty
                return self._scalar(path, node) if is_shown else HIDDEN
            case Listing():
                item = get_args(kind)[0] if get_origin(kind) is tuple else kind
                return [self.value(item, each, (*path, index)) for index, each in enumerate(node.items)]
            case Table():
                return {name: self._entry(kind, name, each.value, path) for name, each in node.entries.items()}

    def _scalar(self, path: KeyPath, scalar: Scalar) -> object:
        text = without_secrets(self._value_shown(path, scalar.text))
        if text != scalar.text:
            return text
        flag, number = scalar.as_boolean(), scalar.as_integer()
        return number if flag is None and number is not None else text if flag is None else flag

    def _entry(self, kind: Any, name: str, node: Node, path: KeyPath) -> object:
        if get_origin(kind) is not None and issubclass(get_origin(kind), Mapping):
            return self.value(get_args(kind)[1], node, (*path, name))
        is_section = isinstance(kind, type) and issubclass(kind, Section)
        fields = {field.alias or key: field for key, field in kind.model_fields.items()} if is_section else {}
        field = fields.get(name)
        inner = field.annotation if field is not None and field.repr else _UNKNOWN
        return self.value(inner, node, (*path, name))


def _bare(kind: Any) -> Any:
    """Return a type without `Annotated` and `| None`."""
    while get_origin(kind) not in (None, tuple, Mapping) and not isinstance(kind, type):
        kind = get_args(kind)[0]
    return kind

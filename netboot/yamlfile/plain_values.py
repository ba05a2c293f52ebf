"""Values without types, as JSON has them: read from nodes, and written as YAML that reads back equal.

A text that YAML 1.1 or 1.2 would read as anything else (`no`, `1e3`, `0o17`, `52:54:00:12:34:56`) gets quotes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from netboot.yamlfile.nodes import Listing, Node, Scalar, Table

PlainValue = str | int | bool | None | Sequence["PlainValue"] | Mapping[str, "PlainValue"]

_BOOLEANS: Final = {"true": True, "false": False}
MOST_DIGITS: Final = 18  # of a number; more are read back as text
_INTEGER: Final = re.compile(rf"0|-?[1-9][0-9]{{0,{MOST_DIGITS - 1}}}")  # as `str` writes it
_ALSO_NUMBERS: Final = re.compile(
    r"(0o[0-7]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)$"
)  # YAML 1.2 §10.3.2
_ALSO_BOOLEANS: Final = re.compile(r"[yYnN]$")  # https://yaml.org/type/bool.html


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, and quotes what only other readers of YAML convert."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, _data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _ALSO_NUMBERS, list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", _ALSO_BOOLEANS, list("yYnN"))


def yaml_text(value: PlainValue) -> str:
    """Write a table as YAML in block style, one line for each text; keys keep their order."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31))


def plain_value(node: Node) -> PlainValue:
    """Return the value of a node; only a plain `true`, `false` or decimal number is no text."""
    match node:
        case Table():
            return {name: plain_value(entry.value) for name, entry in node.entries.items()}
        case Listing():
            return [plain_value(item) for item in node.items]
        case Scalar():
            return _plain_scalar(node)


def _plain_scalar(scalar: Scalar) -> PlainValue:
    if scalar.is_null:
        return None
    if not scalar.plain:
        return scalar.text
    return int(scalar.text) if _INTEGER.fullmatch(scalar.text) else _BOOLEANS.get(scalar.text, scalar.text)

"""Lists the settings as they can be written, each with the place where a file has it. Pure; secrets are hidden."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from netboot.model.hidden import HIDDEN, without_secrets
from netboot.settings.settings import Settings
from netboot.yamlfile.faults import Place
from netboot.yamlfile.nodes import Node, find
from netboot.yamlfile.sections import Section


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One setting; `section` is its section, `place` where the file has it, None for a default."""

    key: str
    section: str
    value: str
    description: str
    place: Place | None


def shown_settings(settings: Settings, tree: Node | None) -> list[ShownSetting]:
    """List the settings in the order of the documentation; `tree` is the file that they were read from."""
    return list(_settings(settings, tree))


def _settings(settings: Settings, tree: Node | None) -> Iterator[ShownSetting]:
    for section, field in Settings.model_fields.items():
        values = getattr(settings, section)
        if not isinstance(values, Section):
            place = _place(tree, section)
            yield ShownSetting(section, section, _text(values), field.description or "", place)
            continue
        for key, inner in type(values).model_fields.items():
            value = getattr(values, key)
            text = _text(value) if inner.repr or value is None else HIDDEN
            place = _place(tree, section, key)
            yield ShownSetting(f"{section}.{key}", section, text, inner.description or "", place)


def _place(tree: Node | None, *path: str) -> Place | None:
    node = find(tree, path)
    return None if node is None else node.place


def _text(value: Any) -> str:
    """Write a value in one line of YAML, empty for none."""
    plain = _plain(value)
    if plain is None or plain == []:
        return ""
    if not isinstance(plain, list | dict):
        return str(plain).lower() if isinstance(plain, bool) else str(plain)
    written = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**20)
    return written.strip()


def _plain(value: Any) -> Any:
    """Return a value without the types of its setting."""
    match value:
        case Section():
            text = value.as_text()
            return without_secrets(text) if text is not None else _table(value)
        case tuple():
            return [_plain(item) for item in value]
        case Enum():
            return value.value
        case None | bool() | int():
            return value
        case _:
            return without_secrets(str(value))


def _table(section: Section) -> dict[str, Any]:
    """Return the keys of a table that were written, without the values of secrets."""
    fields = type(section).model_fields
    return {
        key: _plain(getattr(section, key)) if fields[key].repr else HIDDEN
        for key in fields
        if key in section.model_fields_set
    }

"""Reads `netboot.yaml` into Settings, and makes its JSON Schema.

`REMOVED` are the settings that an earlier release had: accepted with a warning for one release, refused as unknown
after it. To remove a setting, delete its field and add its row there; in the release after that, delete the row.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from netboot.settings.settings import Settings
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import Node, Scalar, Table
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import editor_schema, read_section

_USE_CONTENT_URL: Final = (
    "remove it; to serve content by more processes, put nginx in front of content.directory and set content.url"
)
REMOVED: Final[Mapping[str, str]] = {"content.workers": _USE_CONTENT_URL, "content.port": _USE_CONTENT_URL}


def read_settings(path: Path, faults: Faults) -> tuple[Settings, Node | None]:
    """Return the settings of a file, with the default for each faulty one, and its tree; None: it cannot be read."""
    text = read_text(path, faults, place=Place(str(path)))
    tree = None if text is None else parse(text, str(path), faults)
    match tree:
        case Table():
            return read_section(Settings, _without_removed(tree, faults), faults), tree
        case None | Scalar(is_null=True):
            pass
        case _:
            cure = "write sections, as `http: {port: 8080}`"
            faults.add(tree.place, "", what="is not a table of settings", cure=cure)
    return Settings(), tree


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of `netboot.yaml` for editors; removed settings are deprecated in it."""
    schema = editor_schema(Settings)
    for path, cure in REMOVED.items():
        section, _, name = path.partition(".")
        table = schema["properties"][section]["$ref"].rpartition("/")[2]
        schema["$defs"][table]["properties"][name] = {"deprecated": True, "description": f"Removed; {cure}"}
    return schema


def _without_removed(tree: Table, faults: Faults) -> Table:
    """Return the tree without removed settings, with a warning for each: its place and its cure."""
    sections = dict(tree.entries)
    for path, cure in REMOVED.items():
        section, _, name = path.partition(".")
        written = sections.get(section)
        if written is None or not isinstance(written.value, Table) or name not in written.value.entries:
            continue
        others = dict(written.value.entries)
        faults.warn(others.pop(name).key.place, path, what="was removed and has no effect", cure=cure)
        sections[section] = replace(written, value=replace(written.value, entries=others))
    return replace(tree, entries=sections)

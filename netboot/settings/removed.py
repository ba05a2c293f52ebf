"""Settings that an earlier release had: accepted with a warning for one release, refused as unknown after it.

To remove a setting, delete its field and add its row here; in the release after that, delete the row.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from netboot.settings.settings import Settings
from netboot.yamlfile.editor_schema import editor_schema
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Table

_USE_CONTENT_URL: Final = (
    "remove it; to serve content by more processes, put nginx in front of content.directory and set content.url"
)
REMOVED: Final[Mapping[str, str]] = {"content.workers": _USE_CONTENT_URL, "content.port": _USE_CONTENT_URL}


def without_removed(tree: Table, faults: Faults) -> Table:
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


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of `netboot.yaml` for editors; removed settings are deprecated in it."""
    schema = editor_schema(Settings)
    for path, cure in REMOVED.items():
        section, _, name = path.partition(".")
        table = schema["properties"][section]["$ref"].rpartition("/")[2]
        schema["$defs"][table]["properties"][name] = {"deprecated": True, "description": f"Removed; {cure}"}
    return schema

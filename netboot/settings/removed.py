"""Settings that an earlier release had: accepted with a warning for one release, refused as unknown after it.

To remove a setting, delete its field and add its row here; in the release after that, delete the row.
"""

from collections.abc import Mapping
from typing import Any, Final

from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Table

_USE_CONTENT_URL: Final = (
    "remove it; to serve content by more processes, put nginx in front of content.directory and set content.url"
)
REMOVED: Final[Mapping[str, str]] = {"content.workers": _USE_CONTENT_URL, "content.port": _USE_CONTENT_URL}


def drop_removed(tree: Table, data: dict[str, Any], faults: Faults) -> None:
    """Delete every removed setting from `data`, read from `tree`, and add a warning with its place and its cure."""
    for path, cure in REMOVED.items():
        section, _, name = path.partition(".")
        written = tree.entries.get(section)
        if written is None or not isinstance(written.value, Table) or name not in written.value.entries:
            continue
        del data[section][name]
        key = written.value.entries[name].key
        faults.warn(key.place, path, what="was removed and has no effect", cure=cure)

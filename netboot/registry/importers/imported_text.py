"""Writes imported hosts as a hosts file that a person can continue: notes are comments at what they are about."""

import textwrap
from collections.abc import Sequence
from typing import Final

from netboot.model.words import one_line
from netboot.registry.importers.imported import Imported, ImportedHost
from netboot.yamlfile.plain_values import plain_value, yaml_text

_INDENT: Final = "  "


def imported_text(imported: Imported, sources: Sequence[str]) -> str:
    """Return the text of the hosts file; `sources` are the files that were imported."""
    document = imported.document()
    head = [f"Imported by netboot from {', '.join(sources)}.", *imported.notes]
    if imported.hosts:
        disk = ", disk" if any(host.disk is None for host in imported.hosts) else ""
        head.append(f"Not in such a file, so to be written under defaults: boot_media, release{disk}.")
    parts = [*map(_comment, head)]
    parts += [
        yaml_text({name: plain_value(entry.value)}) for name, entry in document.entries.items() if name != "hosts"
    ]
    if imported.hosts:
        parts.append("hosts:\n" + "".join(_host(host) for host in imported.hosts))
    return "".join(parts)


def _host(host: ImportedHost) -> str:
    comments = "".join(map(_comment, (f"{host.name.place}: {host.source}", *host.notes)))
    text = yaml_text({host.name.text: plain_value(host.table())})
    return textwrap.indent(comments + text, _INDENT)


def _comment(text: str) -> str:
    return f"# {one_line(text)}\n"

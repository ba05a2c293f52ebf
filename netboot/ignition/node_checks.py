"""Verifies the files, directories, links and units of a configuration by their paths.

Sources: coreos/ignition v2.16.2, `types/{node,path,storage,config}.go`, and `internal/exec/stages/files`, which creates
entries from the shallowest to the deepest, hard links after them, and then units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from posixpath import dirname, join, normpath
from typing import Final

from netboot.ignition.problem import Problems
from netboot.ignition.schema import Json, entries
from netboot.ignition.unit_text import unit_fault
from netboot.yamlfile.faults import shown

UNIT_DIRECTORY: Final = "/etc/systemd/system"

_NAME_LIMIT_BYTES: Final = 255  # NAME_MAX of every supported file system
_UNIT_SUFFIXES: Final = (
    ".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".snapshot",
    ".slice", ".scope",
)  # fmt: skip
_KIND_OF_LIST: Final = {"storage/directories": "directory", "storage/files": "file", "storage/links": "link"}


@dataclass(frozen=True, slots=True)
class Node:
    """One path that a configuration writes."""

    path: str
    kind: str  # directory, file, link, unit
    pointer: str


def verify_nodes(config: Json, problems: Problems) -> None:
    """Add the problems of each file, directory, link and unit of one configuration, and of their combination."""
    nodes = tuple(nodes_of(config))
    for node in nodes:
        if node.kind != "unit" and (fault := path_fault(node.path, is_directory=node.kind == "directory")):
            problems.add(f"{node.pointer}/path", f"{shown(node.path)} {fault}", cure="write a full, simplified path")
    for path in _KIND_OF_LIST:
        for item, pointer in entries(config, path):
            _verify_owner_and_mode(item, pointer, problems)
    for file, pointer in entries(config, "storage/files"):
        if file.get("overwrite") and file.get("contents", {}).get("source") is None:
            cure = "add contents or remove overwrite"
            problems.add(f"{pointer}/overwrite", "is true without contents.source", cure=cure)
    for link, pointer in entries(config, "storage/links"):
        _verify_target(link, pointer, nodes=nodes, problems=problems)
    for unit, pointer in entries(config, "systemd/units"):
        _verify_unit(unit, pointer, problems)
    verify_parents([nodes], problems)


def verify_parents(configs: Sequence[Sequence[Node]], problems: Problems) -> None:
    """Add each path below a file or link; of two configurations the later one's node at a path is used."""
    nodes: dict[str, Node] = {}
    units: dict[str, Node] = {}
    for config in configs:
        for node in config:
            (units if node.kind == "unit" else nodes)[node.path] = node
    for node in (*nodes.values(), *units.values()):
        if node.kind == "unit" and node.path in nodes:
            what = f"{shown(node.path)} is a unit of this file too"
            problems.add(f"{nodes[node.path].pointer}/path", what, cure="keep one of the two")
        parent = node.path
        while (above := dirname(parent)) != parent:
            parent = above
            found = nodes.get(parent)
            # a unit below a link is written through the link
            if found is not None and (found.kind == "file" or (found.kind == "link" and node.kind != "unit")):
                what = f"{shown(node.path)} lies below the {found.kind} {shown(found.path)} ({found.pointer})"
                problems.add(node.pointer, what, cure=f"make {shown(found.path)} a directory, or move one of them")
                break


def path_fault(path: str, *, is_directory: bool = True) -> str | None:
    """Return why Ignition cannot use a path, as the end of a sentence."""
    if not path:
        return "is not a path"
    if not path.startswith("/"):
        return "is not absolute"
    if path == "/":
        return None if is_directory else "is the root directory"
    parts = path[1:].split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "is not simplified: it has //, /./, /../ or a / at its end"
    if "\0" in path or any(len(part.encode("utf-8", "surrogatepass")) > _NAME_LIMIT_BYTES for part in parts):
        return f"has a NUL or a name of more than {_NAME_LIMIT_BYTES} bytes"
    return None


def nodes_of(config: Json) -> Iterator[Node]:
    """Yield every file, directory, link, unit and drop-in that a configuration writes."""
    for path, kind in _KIND_OF_LIST.items():
        for item, pointer in entries(config, path):
            yield Node(item.get("path", ""), kind, pointer)
    for unit, pointer in entries(config, "systemd/units"):
        unit_path = join(UNIT_DIRECTORY, unit.get("name", ""))
        if unit.get("contents"):
            yield Node(unit_path, "unit", pointer)
        for dropin, place in entries(unit, "dropins", pointer):
            if dropin.get("contents"):
                yield Node(join(f"{unit_path}.d", dropin.get("name", "")), "unit", place)


def _verify_owner_and_mode(node: Json, pointer: str, problems: Problems) -> None:
    mode = node.get("mode")
    if mode is not None and not 0 <= mode <= 0o7777:
        cure = "write the mode as a decimal number from 0 to 4095 (0644 is 420)"
        problems.add(f"{pointer}/mode", f"{mode} is not a file mode", cure=cure)
    for owner in ("user", "group"):
        given = node.get(owner, {})
        if "id" in given and given.get("name"):
            problems.add(f"{pointer}/{owner}", "has both id and name", cure="keep one of the two")


def _verify_target(link: Json, pointer: str, *, nodes: Sequence[Node], problems: Problems) -> None:
    target = link.get("target")
    if not target:
        problems.add(f"{pointer}/target", "is missing", cure="write what the link leads to")
        return
    whole = normpath(target if target.startswith("/") else join(link.get("path", ""), target))
    directories = {node.path for node in nodes if node.kind == "directory"}
    if link.get("hard") and whole in directories:
        problems.add(f"{pointer}/target", f"{shown(whole)} is a directory", cure="make the link symbolic")


def _verify_unit(unit: Json, pointer: str, problems: Problems) -> None:
    name = unit.get("name", "")
    if not name.endswith(_UNIT_SUFFIXES):
        cure = f"end it in {', '.join(_UNIT_SUFFIXES)}"
        problems.add(f"{pointer}/name", f"{shown(name)} is not a unit name", cure=cure)
    if fault := unit_fault(unit.get("contents", "")):
        problems.add(f"{pointer}/contents", fault, cure="correct the unit")
    for dropin, place in entries(unit, "dropins", pointer):
        if not dropin.get("name", "").endswith(".conf"):
            what = f"{shown(dropin.get('name', ''))} is not a drop-in name"
            problems.add(f"{place}/name", what, cure="end it in .conf")
        if fault := unit_fault(dropin.get("contents", "")):
            problems.add(f"{place}/contents", fault, cure="correct the drop-in")

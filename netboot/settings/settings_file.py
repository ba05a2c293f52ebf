"""Reads `netboot.yaml` into Settings and finds the line and column of each value that pydantic refuses."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from netboot.settings.removed import drop_removed
from netboot.settings.settings import LoaderChoice, Settings
from netboot.yamlfile.faults import Faults, Place, did_you_mean, shown
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table
from netboot.yamlfile.positions import parse


def read_settings(path: Path, faults: Faults) -> tuple[Settings, Node | None]:
    """Return the settings of a file, with the default for each faulty one, and the file's tree.

    The tree is None if the file cannot be read at all.
    """
    directory = path.absolute().parent
    text = read_text(path, faults, place=Place(str(path)))
    tree = None if text is None else parse(text, str(path), faults)
    if tree is None:
        return Settings.from_tree({}, directory=directory), None
    if not isinstance(tree, Table):
        if not (isinstance(tree, Scalar) and tree.is_null):
            faults.add(
                tree.place, "", what="is not a table of settings", cure="write sections, as `http: {port: 8080}`"
            )
        return Settings.from_tree({}, directory=directory), tree
    data: dict[str, Any] = _bare(tree)
    drop_removed(tree, data, faults)
    for _ in range(3):  # a key's fault can hide its section's; each pass removes faulty keys
        try:
            return Settings.from_tree(data, directory=directory), tree
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                _report(detail, tree, faults)
                _drop(data, detail["loc"])
    return Settings.from_tree({}, directory=directory), tree


def find(tree: Node | None, path: tuple[int | str, ...]) -> Node | None:
    """Find the value at a path of keys and indexes; None if the file does not have it."""
    for step in path:
        match tree, step:
            case Table(), str() if step in tree.entries:
                tree = tree.entries[step].value
            case Listing(), int() if step < len(tree.items):
                tree = tree.items[step]
            case _:
                return None
    return tree


def dotted(path: tuple[int | str, ...]) -> str:
    """Write a path as operators read it: `network.interfaces[0].name`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _bare(node: Node) -> Any:
    match node:
        case Table():
            return {name: _bare(entry.value) for name, entry in node.entries.items()}
        case Listing():
            return [_bare(item) for item in node.items]
        case Scalar():
            return node


def _report(detail: ErrorDetails, tree: Table, faults: Faults) -> None:
    path = detail["loc"]
    where = dotted(path)
    if detail["type"] == "extra_forbidden":
        holder = find(tree, path[:-1])
        assert isinstance(holder, Table)
        name = str(path[-1])
        cure = did_you_mean(name, _names_at(path[:-1]))
        if path == ("hosts", name) and isinstance(find(tree, path), Table):
            cure = "machines are written in a file of hosts.files: hosts.yaml"
        faults.add(holder.entries[name].key.place, where, what="no such setting", cure=cure)
        return
    what, cure = _words(detail)
    faults.add(_nearest(tree, path), where, what=what, cure=cure)


def _words(detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx", {})
    given = detail["input"]
    if isinstance(given, Scalar) and given.is_null:
        return "is empty", "write a value or remove the key"
    match detail["type"]:
        case "netboot":
            return str(context["what"]), str(context["cure"])
        case "enum" if isinstance(given, str):
            return f"{shown(given)} is none of its values", f"use {str(context['expected']).replace(chr(39), '')}"
        case "missing":
            return "is missing", "write it"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a table of keys", "write `key: value` pairs below it"
        case "tuple_type" | "list_type":
            return "must be a list", "write it in brackets: [first, second]"
        case _:
            return "must be one value", "write a single word, number or path"


def _names_at(path: tuple[int | str, ...]) -> list[str]:
    match path:
        case ():
            return list(Settings.model_fields)
        case ("network", "interfaces", *_):
            return ["name", "address", "advertise"]
        case ("bootfiles", "loaders", *_):
            return list(LoaderChoice.model_fields)
        case (str(section), *_):
            model = Settings.model_fields[section].annotation
            assert isinstance(model, type)
            assert issubclass(model, BaseModel)
            return list(model.model_fields)
        case _:
            return []


def _nearest(tree: Node, path: tuple[int | str, ...]) -> Place:
    for length in range(len(path), -1, -1):
        node = find(tree, path[:length])
        if node is not None:
            return node.place
    return tree.place


def _drop(data: dict[str, Any], path: tuple[int | str, ...]) -> None:
    """Remove a faulty setting, so that its default is used while the rest of the files is read."""
    section = data.get(str(path[0])) if path else None
    if isinstance(section, dict) and len(path) > 1 and path[1] in section:
        del section[str(path[1])]
    elif path:  # the whole section, also if a default collides with a given key
        data.pop(str(path[0]), None)

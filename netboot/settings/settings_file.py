"""Reads `netboot.yaml` into Settings."""

from pathlib import Path

from netboot.settings.removed import without_removed
from netboot.settings.settings import Settings
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import Node, Scalar, Table
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import read_section


def read_settings(path: Path, faults: Faults) -> tuple[Settings, Node | None]:
    """Return the settings of a file, with the default for each faulty one, and the file's tree.

    The tree is None if the file cannot be read at all.
    """
    text = read_text(path, faults, place=Place(str(path)))
    tree = None if text is None else parse(text, str(path), faults)
    match tree:
        case Table():
            return read_section(Settings, without_removed(tree, faults), faults), tree
        case None | Scalar(is_null=True):
            pass
        case _:
            faults.add(
                tree.place, "", what="is not a table of settings", cure="write sections, as `http: {port: 8080}`"
            )
    return Settings(), tree

"""Reads the files of an inventory, and raises their faults."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from netboot.errors import ConfigError, Problem
from netboot.model.host.host import Role
from netboot.registry.importers.format_names import ImportFormat
from netboot.registry.importers.import_formats import import_documents
from netboot.registry.importers.imported import Imported
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import Node
from netboot.yamlfile.positions import parse_documents

SHOWN_PROBLEMS: Final = 100


def read_inventory(files: Sequence[Path], *, wanted: ImportFormat | None = None, role: Role | None = None) -> Imported:
    """Return what all files describe together; raise ConfigError with their faults, the first 100 at most."""
    faults, documents = Faults(), list[Node]()
    for file in files:
        text = read_text(file, faults, place=Place(str(file)))
        documents += parse_documents(text, str(file), faults) if text is not None else ()
    if not faults:
        imported = import_documents(documents, faults, source=str(files[0]), wanted=wanted, role=role)
        if not faults:
            return imported
    raise ConfigError(_limited(faults.problems))


def _limited(problems: Sequence[Problem]) -> list[Problem]:
    """Return the first problems, and how many there are: a file that was not meant can have thousands."""
    if len(problems) <= SHOWN_PROBLEMS:
        return list(problems)
    what = f"{len(problems)} problems, of which the first {SHOWN_PROBLEMS} follow"
    return [Problem(problems[0].file, 0, 0, "", what, "correct these first"), *problems[:SHOWN_PROBLEMS]]

"""Looks into the Ignition files that `ocne` wrote: readable, of a known version, and meant for this use.

Nothing of a file is kept or shown: it holds cluster keys.
"""

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from netboot.config.faults import shown
from netboot.config.files import read_bytes
from netboot.config.given import Said
from netboot.model.ignition import KNOWN_VERSION

_ACTION: Final = re.compile(r"^Environment=\"?ACTION=(init|join)\b", re.MULTILINE)


class Use(StrEnum):
    """What a node does at its first boot with a file that `ocne` wrote."""

    INIT = "init"
    JOIN = "join"


@dataclass(slots=True)
class IgnitionFiles:
    """Each file is read once, and its fault told where it is named first."""

    _uses: dict[Path, Use | None] = field(default_factory=dict)

    def use_of(self, said: Said[Path]) -> Use | None:
        """Check a file; return what it is for where it says so (the drop-in of `ocne.service`), else None."""
        path = said.value
        if path not in self._uses:
            self._uses[path] = _check(said)
        return self._uses[path]


def _check(said: Said[Path]) -> Use | None:
    given, path = said.given, said.value
    content = read_bytes(path, given.faults, place=given.place, where=given.where)
    if content is None:
        return None
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, or a number without end
        given.refuse(f"{path} is not JSON", "give what `ocne cluster start` or `ocne cluster join` printed on stdout")
        return None
    version = _at(config, "ignition", "version")
    if not isinstance(version, str):
        given.refuse(f"{path} has no ignition.version", "give an Ignition file, not Butane or another configuration")
    elif not KNOWN_VERSION.fullmatch(version):
        given.refuse(f"{path} is Ignition {shown(version)}", "give one of spec 3.0.0 to 3.6.0, as ocne writes")
    else:
        return _use(config)
    return None


def _use(config: Any) -> Use | None:
    units = _at(config, "systemd", "units")
    for unit in units if isinstance(units, list) else ():
        if _at(unit, "name") != "ocne.service":
            continue
        dropins = _at(unit, "dropins")
        for dropin in dropins if isinstance(dropins, list) else ():
            found = _ACTION.search(str(_at(dropin, "contents")))
            if found:
                return Use(found.group(1))
    return None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value

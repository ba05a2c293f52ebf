"""Reads the Ignition files that `ocne` wrote: a file that Ignition would refuse, or a file for another use, is a fault.

If a file is missing or cannot be read, the hosts files have no fault: its hosts are loaded, but are not ready.

No content of a file is kept or shown, because it contains cluster keys.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from netboot.ignition.check import read_ignition
from netboot.ignition.schema import Json
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.files import read_bytes
from netboot.yamlfile.given import Said

_ACTION: Final = re.compile(r"^Environment=\"?ACTION=(init|join)\b", re.MULTILINE)
_SHOWN_PROBLEMS: Final = 10  # of one file


class IgnitionUse(StrEnum):
    """The action of a node at its first boot with a file that `ocne` wrote."""

    INIT = "init"
    JOIN = "join"


@dataclass(slots=True)
class IgnitionFiles:
    """The files that were read: each is read once, and its fault reported where it is named first."""

    _uses: dict[Path, IgnitionUse | None] = field(default_factory=dict)

    def use_of(self, said: Said[Path]) -> IgnitionUse | None:
        """Check a file; return its use from the drop-in of `ocne.service`, or None without one."""
        path = said.value
        if path not in self._uses:
            self._uses[path] = _check(said)
        return self._uses[path]


def _check(said: Said[Path]) -> IgnitionUse | None:
    given, path = said.given, said.value
    content = read_bytes(path, Faults(), place=given.place, where=given.where)
    if content is None:
        return None
    file = read_ignition(content)
    for problem in file.problems[:_SHOWN_PROBLEMS]:
        given.refuse(problem.in_file(path), problem.cure)
    more = len(file.problems) - _SHOWN_PROBLEMS
    if more > 0:
        given.refuse(f"{path} has {more} more problems", "correct the first ones and check again")
    return None if file.problems else _use(file.config)


def _use(config: Json) -> IgnitionUse | None:
    for unit in config.get("systemd", {}).get("units", []):
        for dropin in unit.get("dropins", []) if unit.get("name") == "ocne.service" else ():
            found = _ACTION.search(dropin.get("contents", ""))
            if found:
                return IgnitionUse(found.group(1))
    return None

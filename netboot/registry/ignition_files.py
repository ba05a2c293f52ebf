"""Reads the Ignition files that `ocne` wrote: a file that Ignition would refuse, or a file for another use, is a fault.

If a file is missing or cannot be read, the hosts files have no fault: its hosts are loaded, but are not ready.

No content of a file is kept or shown, because it contains cluster keys.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from netboot.ignition.check import read_ignition
from netboot.ignition.schema import Json
from netboot.registry.merge import Origin
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.files import read_bytes

_ACTION: Final = re.compile(r"^Environment=\"?ACTION=(init|join)\b", re.MULTILINE)
_SHOWN_PROBLEMS: Final = 10  # of one file


class IgnitionUse(StrEnum):
    """The action of a node at its first boot with a file that `ocne` wrote."""

    INIT = "init"
    JOIN = "join"


def use_of_file(path: Path, named: Origin, faults: Faults) -> IgnitionUse | None:
    """Check a file that is named there; return its use from the drop-in of `ocne.service`, or None without one."""
    content = read_bytes(path, Faults(), place=named.place)
    if content is None:
        return None
    file = read_ignition(content)
    for problem in file.problems[:_SHOWN_PROBLEMS]:
        faults.add(named.place, named.where, what=problem.in_file(path), cure=problem.cure)
    more = len(file.problems) - _SHOWN_PROBLEMS
    if more > 0:
        what = f"{path} has {more} more problems"
        faults.add(named.place, named.where, what=what, cure="correct the first ones and check again")
    return None if file.problems else _use(file.config)


def _use(config: Json) -> IgnitionUse | None:
    for unit in config.get("systemd", {}).get("units", []):
        for dropin in unit.get("dropins", []) if unit.get("name") == "ocne.service" else ():
            found = _ACTION.search(dropin.get("contents", ""))
            if found:
                return IgnitionUse(found.group(1))
    return None

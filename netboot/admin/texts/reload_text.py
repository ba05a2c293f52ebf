"""Describes the result of a reload."""

from collections.abc import Mapping
from typing import Any


def report(taken: Mapping[str, Any]) -> list[str]:
    hosts = taken["hosts"]
    lines = [f"reloaded: {hosts} host{'s' if hosts != 1 else ''}"]
    if sections := taken["needs_restart"]:
        lines.append(f"changed, and in force after systemctl restart netboot: {', '.join(sections)}")
    lines += [f"the arming of {host} ended: netboot install history {host}" for host in taken["armings_ended"]]
    lines += [f"problem: {problem}" for problem in taken["problems"]]
    lines += [f"warning: {warning}" for warning in taken.get("warnings", ())]
    return lines

"""The lines of a promotion: which nodes notice it, which armings end, which hosts are installed with it."""

from collections.abc import Iterator, Mapping
from typing import Any


def shown_commit(known: Mapping[str, Any] | None) -> str:
    """Return a commit with its release or version, as the board and plans show it."""
    if known is None:
        return "–"
    name = known["release"] or known["version"]
    return f"{name} ({known['commit'][:12]})" if name else str(known["commit"][:12])


def promotion_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what happens to each node and host, and the warnings."""
    yield from effect_lines(plan)
    yield from (f"warning: {warning}" for warning in plan["warnings"])


def effect_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what happens to each node and host."""
    if plan["tag"]:
        yield f"the tag {plan['tag']} names {shown_commit(plan['after'])}"
    for node in plan["nodes"]:
        runs = shown_commit(node["runs"]) + (" (since install)" if node["is_since_install"] else "")
        does = f"stages {shown_commit(node['stages'])}" if node["stages"] else "runs it already"
        yield f"{node['host']}: notices it within two minutes; runs {runs}; {does}"
    yield from (f"{host}: its arming ends, because it is bound to another commit" for host in plan["armings_end"])
    if plan["installs"]:
        yield f"new installs get it: {', '.join(plan['installs'])}"

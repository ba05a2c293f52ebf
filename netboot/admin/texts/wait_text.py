"""Shows what the running boot of a host waits for."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from netboot.model.boot.expected_durations import WAITED_FOR, usual_text
from netboot.model.install.event import Step
from netboot.model.words import shown_seconds


def wait_texts(wait: Mapping[str, Any] | None) -> list[str]:
    """Describe a wait as the API shows it; empty if nothing is waited for.

    `the request for the Kickstart since 12:03:20 UTC, for 42 s (usually 12 s, at most 1 min 36 s; from 17 boots here)`
    """
    if wait is None:
        return []
    expected = wait["expected"]
    usual = usual_text(expected["median_s"], expected["limit_s"], expected["boots"])
    since = datetime.fromisoformat(wait["since"]).astimezone(UTC)
    return [f"{_what(wait)} since {since:%H:%M:%S} UTC, for {_for(wait)} ({usual}){'; overdue' * wait['overdue']}"]


def expected_text(wait: Mapping[str, Any]) -> str:
    """Describe a wait without its begin: `ostree (usually 4 min, at most 40 min; the default)`."""
    expected = wait["expected"]
    usual = usual_text(expected["median_s"], expected["limit_s"], expected["boots"])
    return f"{wait['step']} ({usual}){'; overdue' * wait['overdue']}"


def short_wait_texts(wait: Mapping[str, Any] | None) -> list[str]:
    """Describe a wait in a cell of a table: `waits for the pull of the release, for 42 s`; empty without one."""
    if wait is None:
        return []
    return [f"waits for {_what(wait)}, for {_for(wait)}{', overdue' * wait['overdue']}"]


def _what(wait: Mapping[str, Any]) -> str:
    return WAITED_FOR[Step(wait["step"])]


def _for(wait: Mapping[str, Any]) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(wait["since"])).total_seconds()
    return shown_seconds(max(0, round(seconds)))

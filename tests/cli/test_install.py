"""Who watches a host that does nothing is told why."""

from typing import Any

import pytest

from netboot.cli.install import before_the_boot

ARMED_AT = "2026-11-21T05:49:24+00:00"


@pytest.mark.parametrize(
    ("arming", "armed_at", "word"),
    [
        pytest.param(
            None, [], "w1 was never armed: it is led to its own disk; netboot install arm w1", id="never-armed"
        ),
        pytest.param(
            {"spent": 0},
            [ARMED_AT],
            "waiting for w1's network boot; Ctrl-C ends the watch, not the arming",
            id="armed-and-not-switched-on",
        ),
        pytest.param({"spent": 1}, [ARMED_AT], "", id="in-the-installer"),
        pytest.param(None, [ARMED_AT], "", id="installed-which-must-not-advise-to-arm-again"),
    ],
)
def test_a_watch_says_what_it_waits_for(arming: dict[str, Any] | None, armed_at: list[str], word: str):
    assert before_the_boot("w1", arming, armed_at) == word

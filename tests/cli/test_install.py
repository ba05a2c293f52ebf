"""`install watch` prints why a host does not proceed."""

from typing import Any

import pytest

from netboot.cli.commands.hosts.install import armed_summary, before_the_boot

ARMED_AT = "2026-11-21T05:49:24+00:00"


BLOCKED = {"reason": "no-loader", "sentence": "w1 has no loader", "cure": "install it", "since": "2026-11-20T00:00:00"}


@pytest.mark.parametrize(
    ("install", "armed_at", "words"),
    [
        pytest.param(
            {"arming": None},
            [],
            ["w1 was never armed: it boots its own disk; netboot install arm w1"],
            id="never-armed",
        ),
        pytest.param(
            {"arming": {"spent": 0}},
            [ARMED_AT],
            ["waiting for w1's network boot; Ctrl-C ends the watch, not the arming"],
            id="armed-and-not-switched-on",
        ),
        pytest.param({"arming": {"spent": 1}}, [ARMED_AT], [], id="in-the-installer"),
        pytest.param({"arming": None}, [ARMED_AT], [], id="installed-which-must-not-advise-to-arm-again"),
        pytest.param(
            {"arming": {"spent": 1}, "blocked": BLOCKED, "reason": "w1 has no loader; install it"},
            [ARMED_AT],
            ["w1 has no loader; install it"],
            id="held-back-since-before-the-arming",
        ),
        pytest.param(
            {"arming": {"spent": 1}, "blocked": BLOCKED | {"since": ARMED_AT}, "reason": "in the timeline"},
            [ARMED_AT],
            [],
            id="held-back-since-the-arming",
        ),
    ],
)
def test_a_watch_says_what_it_waits_for(install: dict[str, Any], armed_at: list[str], words: list[str]):
    assert before_the_boot("w1", {"blocked": None, "reason": None} | install, armed_at) == words


def test_an_armed_host_is_summed_up_with_what_its_next_boot_wipes_and_installs():
    found = {
        "host": "w1",
        "boot_media": "ol8u10-x86_64",
        "arming": {
            "macs": ["52:54:00:aa:bb:01", "52:54:00:aa:bb:02"],
            "disk": "/dev/vda",
            "release": "prod",
            "commit": "0123456789abcdef",
            "attempts": 3,
        },
    }

    assert armed_summary(found).splitlines() == [
        "w1 is armed: its next network boot wipes /dev/vda and installs prod; netboot install watch w1",
        "  MAC         52:54:00:aa:bb:01, 52:54:00:aa:bb:02",
        "  disk        /dev/vda",
        "  release     prod (commit 0123456789ab)",
        "  boot media  ol8u10-x86_64",
        "  attempts    3",
    ]
    assert armed_summary(found, public_url="https://a.example.org:8470").splitlines()[-1] == (
        "  page        https://a.example.org:8470/hosts/w1"
    )

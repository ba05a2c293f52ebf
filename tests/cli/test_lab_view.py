"""Machines that boot: a line for each step, or a table on a terminal."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from netboot.cli.commands.lab import BootView
from netboot.lab.machines.timeline import BootTimeline
from netboot.model.install.event import Step

POWERED_ON = datetime(2026, 11, 21, tzinfo=UTC)


def shown(*, to_stderr: bool = False) -> None:
    """Let cp1 reach three steps, and show each."""
    timeline = BootTimeline("cp1", POWERED_ON)
    with closing(BootView(to_stderr=to_stderr)) as view:
        view.say("starting")
        for seconds, step in enumerate((Step.OFFER, Step.LOADER, Step.OSTREE), 1):
            at = (POWERED_ON + timedelta(seconds=seconds)).isoformat()
            event = {"event": "any.event", "host": "cp1", "step": step.value, "at": at, "data": {"percent": 40}}
            view.show({"cp1": timeline}, timeline.take(event))
        view.show({"cp1": timeline}, None)


def test_each_step_is_a_line_without_a_terminal(capsys: pytest.CaptureFixture[str]):
    shown()

    lines = [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["starting"],
        ["1.0", "s", "cp1", Step.OFFER.value],
        ["2.0", "s", "cp1", Step.LOADER.value],
        ["3.0", "s", "cp1", Step.OSTREE.value],
    ]


def test_a_terminal_has_a_table_with_the_seconds_of_each_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    shown()

    printed = capsys.readouterr().out
    assert all(text in printed for text in ("cp1", "1.0 s", "2.0 s", "40 %"))


def test_nothing_is_shown_on_standard_output_for_json(capsys: pytest.CaptureFixture[str]):
    shown(to_stderr=True)

    assert capsys.readouterr() == ("", "starting\n")

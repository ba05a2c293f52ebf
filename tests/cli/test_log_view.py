"""How the log of a boot is printed: a heading for each boot, lines, and the steps between them."""

from typing import Any

import pytest

from netboot.cli.views.event_words import event_words
from netboot.cli.views.log_view import LogView

BOOT = {"machine": "cp1", "number": 2, "boots": 3, "began_at": "2026-11-29T11:40:00.5+00:00", "ended_at": None}
LINE = {
    "at": "2026-11-29T11:40:03.123456+00:00",
    "source": "192.0.2.50",
    "severity": "err",
    "program": "",
    "text": "\x1b[2Jtext",
}


def event(**changes: Any) -> dict[str, Any]:
    plain = {"at": LINE["at"], "event": "boot.kickstart_served", "host": "cp1", "mac": None, "step": None, "data": {}}
    return plain | changes


def test_boots_lines_and_steps_are_printed(capsys: pytest.CaptureFixture[str]):
    view = LogView(as_json=False)

    for found in (BOOT, LINE, event(step="kickstart", data={"address": "192.0.2.50", "note": None}), event()):
        view.show(found)

    assert capsys.readouterr().out.splitlines() == [
        "cp1, boot 2 of 3, began 2026-11-29 11:40:00 UTC",
        "11:40:03.123  err      –               \N{REPLACEMENT CHARACTER}[2Jtext",
        "11:40:03.123  step     kickstart       address 192.0.2.50",
    ]


def test_json_has_an_object_for_each_boot_and_line(capsys: pytest.CaptureFixture[str]):
    view = LogView(as_json=True)

    view.show(LINE)

    assert capsys.readouterr().out == (
        '{"at": "2026-11-29T11:40:03.123456+00:00", "source": "192.0.2.50", "severity": "err", "program": "", '
        '"text": "\\u001b[2Jtext"}\n'
    )


def test_an_explained_event_has_its_word_and_sentence():
    found = event(event="install.content_found", step=None)

    assert event_words(found) == ("restored", "boot medium and release of cp1 are readable again")

"""Describes an event of a boot for a person."""

from collections.abc import Mapping
from typing import Any

from netboot.model.boot.reasons import explain
from netboot.model.install.event import data_text


def event_words(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the word and the text of an event that is a step, or a reason why a boot does not proceed; else None."""
    data, step = event["data"], event["step"]
    explained = explain(event["event"], data, host=event["host"] or event["mac"] or "this machine")
    if explained is not None:
        return step or explained.word, str(explained)
    if step is not None:
        return step, data_text(data)
    return None

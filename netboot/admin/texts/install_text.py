"""Describes the arming of a host."""

from collections.abc import Mapping
from typing import Any


def armed_text(install: Mapping[str, Any]) -> str:
    arming = install["arming"]
    if arming is None:
        return "no"
    text = f"yes, {arming['left']} of {arming['attempts']} attempts left: {arming['reason']}"
    if not arming["changes"]:
        return text
    return f"{text}; it ends with the next reload, start or boot, because {' and '.join(arming['changes'])}"

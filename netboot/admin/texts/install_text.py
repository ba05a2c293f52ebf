"""Describes the arming of a host, and its machine."""

from collections.abc import Mapping
from typing import Any

from netboot.model.words import printable


def armed_text(install: Mapping[str, Any]) -> str:
    arming = install["arming"]
    if arming is None:
        return "no"
    text = f"yes, {arming['left']} of {arming['attempts']} attempts left: {arming['reason']}"
    if not arming["changes"]:
        return text
    return f"{text}; it ends with the next reload, start or boot, because {' and '.join(arming['changes'])}"


def identity_text(identity: Mapping[str, Any]) -> str:
    """Describe what a machine shows of itself."""
    named = {"MAC": "mac", "address": "address", "UUID": "uuid", "serial": "serial", "switch port": "switch_port"}
    return printable(", ".join(f"{label} {identity[key]}" for label, key in named.items() if identity[key]))

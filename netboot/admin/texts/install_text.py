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


def hold_texts(install: Mapping[str, Any]) -> list[str]:
    """Name the hold that a confirmation is for, with the command that confirms no other one; empty if none is held."""
    hold = install.get("hold")
    if hold is None:
        return []
    return [f"{hold['id']}; to confirm this one alone: netboot install confirm {install['host']} --hold {hold['id']}"]


def identity_text(identity: Mapping[str, Any]) -> str:
    """Describe what a machine shows of itself."""
    named = {"MAC": "mac", "address": "address", "UUID": "uuid", "serial": "serial", "switch port": "switch_port"}
    return printable(", ".join(f"{label} {identity[key]}" for label, key in named.items() if identity[key]))

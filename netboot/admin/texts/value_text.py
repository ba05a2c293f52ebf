"""Writes a value of a hosts file, as JSON has it, in one line."""

from collections.abc import Mapping


def value_text(value: object) -> str:
    """Write a value; empty for an empty list."""
    match value:
        case list():
            return ", ".join(map(value_text, value))
        case Mapping():
            return f"{{{', '.join(f'{key}: {value_text(item)}' for key, item in value.items())}}}"
        case _:
            return str(value)


def recorded_text(at: str | None) -> str:
    """State when the address that a host has from a pool was recorded."""
    return f"recorded {at}" if at else "not recorded yet: the daemon records it at its start or a reload"

"""Reads iPXE scripts: lines, labels, commands joined by `||`, `&&` and `;`. Pure; https://ipxe.org/scripting."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netboot.probe.scripts.script_end import LARGEST_SCRIPT, script_error

_MAGIC: Final = re.compile(r"#!(?:ipxe|gpxe)(?=\s|$)")


class Joined(StrEnum):
    """When a command runs, by the result of the one before it."""

    ALWAYS = ";"
    AFTER_SUCCESS = "&&"
    AFTER_FAILURE = "||"


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One line, continued lines joined. iPXE expands its settings first and then splits it into words."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class IpxeScript:
    """`labels`: the index of the line that follows each label."""

    lines: tuple[ScriptLine, ...]
    labels: Mapping[str, int]


def parse_ipxe(text: str) -> IpxeScript:
    """Parse a script. Raise BootFailedError as iPXE refuses it: without `#!ipxe` it is "Exec format error"."""
    if len(text) > LARGEST_SCRIPT:
        raise script_error(1, f"the script is longer than {LARGEST_SCRIPT >> 10} kB")
    if not _MAGIC.match(text):
        raise script_error(
            1,
            "iPXE prints 'Exec format error (https://ipxe.org/2e008081)': the file does not begin with #!ipxe",
            cure="see what the server sent: an HTML page, an empty file, or a loader for another CPU",
        )
    lines: list[ScriptLine] = []
    labels: dict[str, int] = {}
    for number, line in _joined_lines(text):
        line = line.strip()
        if line.startswith(":"):
            labels.setdefault(line[1:].split(maxsplit=1)[0] if line[1:].strip() else "", len(lines))
        elif line and not line.startswith("#"):
            lines.append(ScriptLine(number, line))
    return IpxeScript(tuple(lines), labels)


def _joined_lines(text: str) -> list[tuple[int, str]]:
    """Number the lines and join each that ends with `\\` to the next."""
    joined: list[tuple[int, str]] = []
    continued: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        start, before = continued or (number, "")
        if line.endswith("\\"):
            continued = (start, before + line[:-1])
        else:
            joined.append((start, before + line))
            continued = None
    return [*joined, continued] if continued else joined


def split_commands(line: str) -> list[tuple[Joined, tuple[str, ...]]]:
    """Split an expanded line into commands, each with when it runs; an empty command does nothing and succeeds."""
    commands: list[tuple[Joined, tuple[str, ...]]] = []
    joint, words = Joined.ALWAYS, list[str]()
    for word in line.split():
        if word.startswith("#"):
            break
        if word in ("||", "&&", ";"):
            commands.append((joint, tuple(words)))
            joint, words = Joined(word), []
        else:
            words.append(word)
    return [*commands, (joint, tuple(words))]

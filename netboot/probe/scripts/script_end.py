"""Where a boot script ends: what the machine does next."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from netboot.model.install.event import Step
from netboot.model.urls import without_tokens_in_paths
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.loaded_file import LoadedFile

LARGEST_SCRIPT: Final = 256 << 10
MOST_COMMANDS: Final = 20_000  # of one script: loops end
LONGEST_SLEEP_S: Final = 60.0  # of one script, in all
_CONSOLE_CHARACTERS: Final = 200

Fetch = Callable[[str, Step], Awaitable[LoadedFile]]
"""Reads a file by its URL, or by its name relative to the script; raises BootFailedError."""


@dataclass(frozen=True, slots=True)
class BootsKernel:
    """`boot` of a kernel: `arguments` is its command line without the kernel's name."""

    kernel: LoadedFile
    initrds: tuple[LoadedFile, ...] = ()
    arguments: str = field(default="", repr=False)  # URLs with tokens


@dataclass(frozen=True, slots=True)
class BootsLocally:
    """The machine leaves the network boot; `way` is the command, as `exit 1` or `sanboot --drive 0x80`."""

    way: str


@dataclass(frozen=True, slots=True)
class Waits:
    """The script requests `url` again after a pause; `sentence` is the last line that it printed before."""

    url: str = field(repr=False)
    after_s: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Chains:
    """The machine runs `file`, which it read from `url`: a script or a loader."""

    url: str = field(repr=False)
    file: LoadedFile


@dataclass(frozen=True, slots=True)
class Restarts:
    """`reboot` or `poweroff`: `way` is the command."""

    way: str


ScriptEnd = BootsKernel | BootsLocally | Waits | Chains | Restarts


def script_error(line: int, sentence: str, *, cure: str = "correct the script") -> BootFailedError:
    """Return the failure of a script at a line, counted from 1."""
    return BootFailedError(Step.SCRIPT, f"line {line} of the script: {sentence}", cure=cure, evidence=(f"line {line}",))


def console_text(text: str) -> str:
    """Write what a script prints as one printable line without tokens."""
    return printable_line(without_tokens_in_paths(text), longest=_CONSOLE_CHARACTERS)

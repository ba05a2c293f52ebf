"""The parts of a support archive: each gathers some files, and one that fails does not lose the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from netboot.errors import NetbootError

PART_S: Final = 20.0  # a part that takes longer has failed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SupportFile:
    """A file of an archive. `read` blocks, and may raise OSError; it is called in a thread."""

    name: str
    read: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SupportPart:
    """A part: the name of its file, or of its directory with `/` at its end, and what it is."""

    name: str
    about: str
    files: Callable[[], Awaitable[Sequence[SupportFile]]] = field(repr=False)


@dataclass(slots=True)
class Gathered:
    """The files of all parts, and one sentence for each fault."""

    files: list[SupportFile] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def text_file(name: str, text: str) -> SupportFile:
    return SupportFile(name, lambda: text.encode("utf-8", "replace"))


def single(
    name: str, about: str, query: Callable[[], Awaitable[object]], written: Callable[[object], str]
) -> SupportPart:
    """Make a part of one file: what a query finds, as `written` has it."""

    async def files() -> Sequence[SupportFile]:
        return [text_file(name, written(await query()))]

    return SupportPart(name, about, files)


async def gathered(parts: Sequence[SupportPart]) -> Gathered:
    """Gather the files of all parts, one part after the other."""
    found = Gathered()
    for part in parts:
        try:
            async with asyncio.timeout(PART_S):
                found.files += await part.files()
        except TimeoutError:
            found.faults.append(f"{part.name}: is missing: it was not gathered within {PART_S:g} s")
        except (NetbootError, OSError) as error:
            found.faults.append(f"{part.name}: is missing: {error}")
        except Exception as error:  # the others may show why
            log.exception("support.part_failed", part=part.name)
            found.faults.append(
                f"{part.name}: is missing: a fault of netboot's own, {type(error).__name__}; see the log"
            )
    return found

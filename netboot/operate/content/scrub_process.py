"""The process that reads content for the scrub, of idle priority. It is started when it is needed."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netboot.errors import ContentError

_LONGEST_LINE_BYTES: Final = 64 << 20  # the faults of one directory of objects
_ANSWER_S: Final = 24 * 3600.0  # for one file of many gigabytes at the lowest rate


@dataclass(frozen=True, slots=True)
class ReadUnit:
    """What a unit has: the faults by member, and how many bytes were read."""

    faults: Mapping[str, str]
    size_bytes: int


class ScrubProcess:
    def __init__(self) -> None:
        self._process: Process | None = None

    async def read(self, request: Mapping[str, Any]) -> ReadUnit:
        """Have a unit read; raise ContentError if the process ends."""
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_ANSWER_S):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
                return ReadUnit(**json.loads(await process.stdout.readline()))
        except (OSError, ValueError, TimeoutError) as error:
            await self.close()
            raise ContentError("the process that verifies content ended; see dmesg") from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """End the process."""
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()  # if this is cancelled, the next call waits
            self._process = None

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            package_root = str(Path(__file__).resolve().parents[3])  # noqa: ASYNC240 - of this file
            search_path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "netboot.content.scrub.scrub_worker"),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                limit=_LONGEST_LINE_BYTES,
                env={**os.environ, "PYTHONPATH": search_path},
            )
        return self._process

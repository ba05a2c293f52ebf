"""Runs a program once: no shell, few variables, no file of the daemon, its own process group, bounded time and output.

Its standard input is in memory, so that a program that does not read it blocks nobody. All that it prints is read, so
that it never waits, and the beginning is kept.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Self

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Final[Mapping[str, str]] = {"PATH": PATH, "LANG": "C.UTF-8"}
_LATE_OUTPUT_S: Final = 0.2  # after the end of a program, a process that it started may still have its output open


@dataclass(frozen=True, slots=True)
class EndedProgram:
    """How a program ended: `status` None: it was killed because of the time. `errors` is empty where both are one."""

    status: int | None
    output: bytes = field(repr=False)
    errors: bytes = field(default=b"", repr=False)

    @property
    def ending(self) -> str:
        """How it ended, for a person: `exit code 1`, `ended by SIGSEGV`."""
        assert self.status is not None
        if self.status >= 0:
            return f"exit code {self.status}"
        number = -self.status
        named = number in set(signal.Signals)  # most real-time signals have no name
        return f"ended by {signal.Signals(number).name if named else f'signal {number}'}"


class _Printed(asyncio.Protocol):
    """Reads all that a program prints and keeps the beginning."""

    def __init__(self, most_bytes: int) -> None:
        self.kept = bytearray()
        self.ended = asyncio.Event()
        self._most_bytes = most_bytes

    def data_received(self, data: bytes) -> None:
        self.kept += data[: self._most_bytes - len(self.kept)]

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()


async def run_program(
    command: Sequence[str],
    *,
    timeout_s: float,
    most_bytes: int,
    standard_input: bytes = b"",
    environment: Mapping[str, str] = ENVIRONMENT,
    output: int | None = None,
    keeps_errors_apart: bool = False,
) -> EndedProgram:
    """Run a program to its end; after `timeout_s`, and if cancelled, its process group is killed.

    `output` is an open file for its standard output, which then is not kept here. Without `keeps_errors_apart`, its
    standard error goes where its output goes. Raises OSError if it cannot be run, and ValueError for an argument that
    is no text.
    """
    async with AsyncExitStack() as stack:
        opened: list[_OutputPipe] = []
        if output is None:
            opened.append(await _OutputPipe.open(stack, most_bytes))
        if keeps_errors_apart:
            opened.append(await _OutputPipe.open(stack, most_bytes))
        out: int | BinaryIO = opened[0].write_end if output is None else output
        err = opened[-1].write_end if keeps_errors_apart else out
        process = await _started(command, standard_input, (out, err), environment)
        for each in opened:
            each.write_end.close()
        status = await _ended(process, timeout_s=timeout_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LATE_OUTPUT_S):
                for each in opened:
                    await each.printed.ended.wait()
        kept = [bytes(each.printed.kept) for each in opened]
        return EndedProgram(status, kept[0] if output is None else b"", kept[-1] if keeps_errors_apart else b"")


@dataclass(frozen=True, slots=True)
class _OutputPipe:
    write_end: BinaryIO
    printed: _Printed

    @classmethod
    async def open(cls, stack: AsyncExitStack, most_bytes: int) -> Self:
        read_fd, write_fd = os.pipe()
        read_end = os.fdopen(read_fd, "rb")
        write_end = stack.enter_context(os.fdopen(write_fd, "wb"))
        loop = asyncio.get_running_loop()
        transport, printed = await loop.connect_read_pipe(lambda: _Printed(most_bytes), read_end)
        stack.callback(transport.close)
        return cls(write_end, printed)


async def _started(
    command: Sequence[str],
    standard_input: bytes,
    outputs: tuple[int | BinaryIO, int | BinaryIO],
    environment: Mapping[str, str],
) -> asyncio.subprocess.Process:
    with os.fdopen(os.memfd_create("input"), "wb", buffering=0) as body:
        body.write(standard_input)
        body.seek(0)
        return await asyncio.create_subprocess_exec(
            *command, stdin=body, stdout=outputs[0], stderr=outputs[1], cwd="/", env=environment, start_new_session=True
        )


async def _ended(process: asyncio.subprocess.Process, *, timeout_s: float) -> int | None:
    """Wait for a program and return its exit status; None if it was killed because of the time."""
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

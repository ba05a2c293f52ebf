"""Runs a command with an event on its standard input, once: no shell, few variables, its own process group."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Final

from netboot.model.hook import CommandTarget
from netboot.operate.hooks.attempt import ANSWER_BYTES, Accepted, Failed, Outcome, line_of_answer
from netboot.operate.hooks.hook_message import HookMessage

ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_LATE_OUTPUT_S: Final = 0.2  # after the end of a command, a process that it started may still have its output open


class _Printed(asyncio.Protocol):
    """Reads all that a command prints, so that it never waits, and keeps the beginning."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.kept += data[: ANSWER_BYTES - len(self.kept)]

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()


async def run_command(target: CommandTarget, message: HookMessage, *, timeout_s: float) -> Outcome:
    """Run a command; exit code 0 is a success. After `timeout_s`, and if cancelled, its process group is killed."""
    read_end, write_end = os.pipe()
    transport, printed = await asyncio.get_running_loop().connect_read_pipe(_Printed, os.fdopen(read_end, "rb"))
    try:
        process = await _started(target, message, output=write_end)
        status = await _ended(process, timeout_s=timeout_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LATE_OUTPUT_S):
                await printed.ended.wait()
    except (OSError, ValueError) as error:  # ValueError: an argument that is not UTF-8
        return Failed(f"cannot run {target}: {getattr(error, 'strerror', None) or 'an argument is no text'}")
    finally:
        transport.close()
    if status is None:
        return Failed(f"{target} did not end within {timeout_s:g} s and was killed")
    answer = f"{_ending(status)} {line_of_answer(printed.kept)}".strip()
    return Accepted(answer) if status == 0 else Failed(f"{target}: {answer}")


async def _started(target: CommandTarget, message: HookMessage, *, output: int) -> asyncio.subprocess.Process:
    """Start a command with the message as its input; close the write end of its output here."""
    with os.fdopen(output, "wb"), os.fdopen(os.memfd_create("event"), "wb", buffering=0) as body:
        body.write(message.body.encode())  # in memory: a command that does not read its input blocks nobody
        body.seek(0)
        return await asyncio.create_subprocess_exec(
            *target.command, stdin=body, stdout=output, stderr=output, cwd="/", env=ENVIRONMENT, start_new_session=True
        )


async def _ended(process: asyncio.subprocess.Process, *, timeout_s: float) -> int | None:
    """Wait for a command and return its exit status; None if it was killed because of the time."""
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


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    return f"ended by {signal.Signals(-status).name}"

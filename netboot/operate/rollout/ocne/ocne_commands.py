"""Runs the commands that a rollout needs of the cluster, and takes the Ignition files that they print.

A file is the standard output of a command that ended with exit code 0. The output goes to `NAME.printed` beside the
file that it replaces, mode 0600: the first start prints its file once, so that a daemon that is killed finds it there.
No token and no key is logged or is an argument of a program.
"""

import asyncio
import fcntl
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from netboot.errors import NetbootError
from netboot.ignition.check import read_ignition
from netboot.model.hidden import without_secrets
from netboot.model.host.role_ignition import RoleUse
from netboot.model.rollout.command import FILE_OF, JOINS, CommandKind
from netboot.model.words import one_line
from netboot.operate.cluster.role_file_uses import LARGEST_BYTES, IgnitionRequest
from netboot.operate.programs.bounded_program import ENVIRONMENT, EndedProgram, run_program
from netboot.operate.rollout.ocne.command_programs import CommandPrograms, name_of
from netboot.operate.rollout.ocne.printed_commands import kubeadm_commands, printed_lines

PRINTED_SUFFIX: Final = ".printed"
KEPT_BYTES: Final = 256 * 1024  # of what a command prints, beside an Ignition file
KUBEADM_S: Final = 120.0
READY_S: Final = 30.0
_WATCH_S: Final = 0.5  # between two looks at the size of an output
_SHOWN_LINES: Final = 3  # of the end of a failed command's standard error

_IGNITION: Final = re.compile(rb'\s*\{\s*"ignition"\s*:')  # ocne 2.3.3 prints it first
_NOT_WATCHED: Final = "netboot was killed while it ran: its exit code is not known, and what it printed is a whole file"
_ANOTHER_CLUSTER: Final = (
    "the second start made the keys of another cluster and printed an Ignition file, because cluster.home {home} has "
    "no kubeconfig of this cluster"
)
_KUBECONFIG: Final = "put the kubeconfig of this cluster in the place of the one that the second start wrote in {home}"

log = structlog.get_logger()

TakeFile = Callable[[IgnitionRequest], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """The configured commands; `kubeadm` gets a command of kubeadm on its standard input, `ready` a host's name."""

    commands: Mapping[CommandKind, Sequence[str]] = field(default_factory=dict)
    kubeadm: Sequence[str] = ()
    ready: Sequence[str] = ()
    timeout_s: float = 900.0
    home: str = "/"

    def named(self) -> dict[str, Sequence[str]]:
        """Return the commands by their names in `cluster.commands`."""
        return {name_of(kind): command for kind, command in self.commands.items()} | {
            "kubeadm": self.kubeadm,
            "ready": self.ready,
        }


@dataclass(frozen=True, slots=True)
class CommandDone:
    """The command succeeded, and its file is in place. `ending`: how it ended, as `exit code 0`."""

    ending: str


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """`cure`: what a person corrects; empty: it is not known. `is_final`: it is not repeated before that."""

    reason: str
    cure: str = ""
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Printed:
    """Commands that a person runs; they wait in a file beside the one that the command printed."""

    count: int


CommandOutcome = CommandDone | CommandFailed | Printed


class OcneCommands:
    """Runs one command at a time for each kind. `place_of`: where the file of a use is; `take`: puts it there."""

    def __init__(
        self,
        settings: CommandSettings,
        *,
        place_of: Callable[[RoleUse], Path | None],
        take: TakeFile,
        now: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self._place_of, self._take, self._now = place_of, take, now
        self.programs = CommandPrograms(settings.named())
        self._environment = {**ENVIRONMENT, "HOME": settings.home}

    async def run(self, kind: CommandKind, *, host: str | None = None) -> CommandOutcome:
        """Run a command; `host`: the node that drain, reset and delete are about."""
        use, home = FILE_OF.get(kind), self.settings.home
        unusable = await asyncio.to_thread(self.programs.problem, kind)
        if unusable is not None:
            return CommandFailed(unusable.reason, unusable.cure)
        try:
            if use is not None:
                return await self._run_for_file(kind, use)
            command = [*self.settings.commands[kind], *([host] if host is not None else [])]
            ended = await self._ended(command, timeout_s=self.settings.timeout_s)
            if ended.status != 0:
                return CommandFailed(_why(command, ended, self.settings.timeout_s))
            if kind is CommandKind.START_AGAIN and _IGNITION.match(ended.output):
                return CommandFailed(_ANOTHER_CLUSTER.format(home=home), _KUBECONFIG.format(home=home), is_final=True)
            return CommandDone(ended.ending)
        except (OSError, ValueError, NetbootError) as error:
            return CommandFailed(_sentence(error))

    async def take_printed(self, kind: CommandKind, *, since: datetime) -> CommandFailed | None:
        """Take the file of a command whose printed commands a person has run, not earlier than `since`."""
        use = FILE_OF[kind]
        try:
            printed = self._printed_place(use)
            content = await asyncio.to_thread(printed.read_bytes)
            await self._taken(use, content, since)
        except FileNotFoundError:
            return CommandFailed("what it printed is on the appliance that ran the rollout then; confirm it there")
        except (OSError, NetbootError) as error:
            return CommandFailed(_sentence(error))
        return None

    async def printed(self, kind: CommandKind) -> tuple[str, ...]:
        """Read the commands that a command printed for a person; they have secrets. Empty: there are none here."""
        with suppress(OSError, NetbootError):
            place = _lines_place(self._printed_place(FILE_OF[kind]))
            return tuple((await asyncio.to_thread(place.read_text)).splitlines())
        return ()

    async def remove_printed(self) -> bool:
        """Remove what joins printed, which has secrets: no rollout takes it any longer.

        What the first start printed is left, because it prints its file once. False: a join that a killed daemon began
        still runs, and its output is left too, so that no other one runs beside it.
        """
        is_all = True
        for kind in JOINS:
            with suppress(NetbootError):
                printed = self._printed_place(FILE_OF[kind])
                try:
                    if await asyncio.to_thread(_is_locked, printed):
                        is_all = False
                    else:
                        await asyncio.to_thread(_remove, printed)
                except OSError as error:
                    log.warning("rollout.output_kept", file=str(printed), reason=error.strerror)
        return is_all

    async def has_begun(self, kind: CommandKind, *, since: datetime) -> bool:
        """Return whether a command for a file was begun here at this time or later, and its output is here.

        Also that of one that has failed, of which the end may not have been stored.
        """
        with suppress(NetbootError):
            printed = self._printed_place(FILE_OF[kind])
            for each in (printed, _failed_place(printed)):
                with suppress(OSError):
                    if (await asyncio.to_thread(each.stat)).st_mtime >= since.timestamp():
                        return True
        return False

    async def is_node_ready(self, host: str) -> bool:
        """Return whether the command for the readiness of a node ends with exit code 0."""
        try:
            return (await self._ended([*self.settings.ready, host], timeout_s=READY_S)).status == 0
        except (OSError, ValueError):
            return False

    async def _run_for_file(self, kind: CommandKind, use: RoleUse) -> CommandOutcome:
        printed = self._printed_place(use)
        await self._earlier_ended(printed)
        began_at = self._now()
        if kind is CommandKind.START and (content := await asyncio.to_thread(_whole_file, printed)) is not None:
            await self._taken(use, content, began_at)  # of a start whose daemon was killed: it is not printed again
            return CommandDone(_NOT_WATCHED)
        command = self.settings.commands[kind]
        with await asyncio.to_thread(_opened, printed) as file:
            ended = await self._watched(command, file.fileno())
        if ended.status != 0:
            await asyncio.to_thread(_set_aside, printed)  # it is not taken by a later run
            return CommandFailed(_why(command, ended, self.settings.timeout_s))
        content = await asyncio.to_thread(_read, printed)
        if not (await asyncio.to_thread(read_ignition, content)).version:
            return CommandFailed(_no_file(command, content, ended))
        lines = printed_lines(ended.errors.decode("utf-8", "replace"))
        if lines and not self.settings.kubeadm:
            await asyncio.to_thread(_write_lines, _lines_place(printed), lines)
            return Printed(len(lines))
        for each in kubeadm_commands(lines):
            run = await self._ended(self.settings.kubeadm, timeout_s=KUBEADM_S, standard_input=f"{each}\n".encode())
            if run.status != 0:
                return CommandFailed(_why(self.settings.kubeadm, run, KUBEADM_S))
        await self._taken(use, content, began_at)
        return CommandDone(ended.ending)

    async def _earlier_ended(self, printed: Path) -> None:
        """Wait for the run of a daemon that was killed: its output has a lock as long as it runs."""
        for _ in range(1 + round(self.settings.timeout_s / _WATCH_S)):
            if not await asyncio.to_thread(_is_locked, printed):
                return
            await asyncio.sleep(_WATCH_S)
        raise NetbootError(f"a run of an earlier daemon still writes {printed}; end it: fuser -k {printed}")

    def _printed_place(self, use: RoleUse) -> Path:
        place = self._place_of(use)
        if place is None:
            raise NetbootError(f"the hosts files name no file for {use}; see roles.ROLE.ignition in docs/settings.md")
        return place.with_name(place.name + PRINTED_SUFFIX)

    async def _taken(self, use: RoleUse, content: bytes, since: datetime) -> None:
        await self._take(IgnitionRequest(use, content, is_renewed=use is not RoleUse.INIT, since=since))
        await asyncio.to_thread(_remove, self._printed_place(use))

    async def _watched(self, command: Sequence[str], output: int) -> EndedProgram:
        """Run a command whose standard output is a file; one that prints too much is killed."""
        running = asyncio.ensure_future(self._ended(command, timeout_s=self.settings.timeout_s, output=output))
        try:
            while not running.done():
                await asyncio.wait([running], timeout=_WATCH_S)
                if os.fstat(output).st_size > LARGEST_BYTES:
                    raise NetbootError(f"{command[0]} printed more than {LARGEST_BYTES >> 20} MiB, and was ended")
            return running.result()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, OSError, ValueError):
                await running

    async def _ended(
        self, command: Sequence[str], *, timeout_s: float, standard_input: bytes = b"", output: int | None = None
    ) -> EndedProgram:
        return await run_program(
            command,
            timeout_s=timeout_s,
            most_bytes=KEPT_BYTES,
            standard_input=standard_input,
            environment=self._environment,
            output=output,
            keeps_errors_apart=True,
        )


def _why(command: Sequence[str], ended: EndedProgram, timeout_s: float) -> str:
    """Describe a failed command by the end of what it printed, without secrets."""
    if ended.status is None:
        return f"{command[0]} did not end within {timeout_s:g} s and was killed"
    shown = _end_of(ended.errors)
    return ": ".join([f"{command[0]}: {ended.ending}", *([shown] if shown else [])])


def _no_file(command: Sequence[str], content: bytes, ended: EndedProgram) -> str:
    """Describe a command that succeeded and printed something else, without secrets."""
    shown = _end_of(content) or "it is empty"
    errors = f"; on standard error: {end}" if (end := _end_of(ended.errors)) else ""
    return f"{command[0]}: {ended.ending}, but its standard output is no Ignition file: {shown}{errors}"


def _end_of(printed: bytes) -> str:
    """Return the last lines that a program printed, without secrets."""
    lines = [line.strip() for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
    shown = ("{…" if line.startswith("{") else one_line(without_secrets(line)) for line in lines[-_SHOWN_LINES:])
    return "; ".join(shown)


def _sentence(error: Exception) -> str:
    if isinstance(error, NetbootError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'the command'}: {error.strerror}"
    return "an argument of the command is no text"


def _opened(path: Path) -> BinaryIO:
    """Open an empty file for a secret output, with a lock that its writer keeps. It replaces an earlier one."""
    path.unlink(missing_ok=True)
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _failed_place(printed: Path) -> Path:
    return printed.with_name(printed.name + ".failed")


def _remove(printed: Path) -> None:
    """Remove an output and what is beside it."""
    for each in (printed, _lines_place(printed), _failed_place(printed)):
        each.unlink(missing_ok=True)


def _set_aside(printed: Path) -> None:
    if printed.stat().st_size:
        printed.replace(_failed_place(printed))


def _lines_place(printed: Path) -> Path:
    return printed.with_name(printed.name + ".commands")


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    with _opened(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES + 1)


def _whole_file(path: Path) -> bytes | None:
    """Return what a start printed whose daemon was killed, if it is a whole file."""
    try:
        content = _read(path)
    except OSError:
        return None
    return content if content and not read_ignition(content).problems else None

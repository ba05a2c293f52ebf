"""Runs a GRUB script as GRUB does, until the machine boots, waits or fails.

A command that fails prints its error, and the script goes on. GRUB manual, chapter "Commands".
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from netboot.model.install.event import Step
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.loaded_file import LoadedFile
from netboot.probe.machine import SimulatedMachine
from netboot.probe.scripts.grub_conditions import is_true, number
from netboot.probe.scripts.grub_settings import GrubVariables, expand_all, initial_variables, url_of
from netboot.probe.scripts.grub_syntax import (
    Block,
    GrubCommand,
    GrubFor,
    GrubFunction,
    GrubIf,
    GrubMenuEntry,
    GrubWhile,
    Statement,
    Word,
    parse_grub,
)
from netboot.probe.scripts.script_end import (
    LONGEST_SLEEP_S,
    MOST_COMMANDS,
    BootsKernel,
    BootsLocally,
    Chains,
    Fetch,
    Restarts,
    ScriptEnd,
    Waits,
    console_text,
    script_error,
)

_DEEPEST_SOURCE: Final = 8
_MOST_ENTRIES: Final = 256
_MOST_INITRDS: Final = 64
_MOST_READS: Final = 256  # of one script: a loop of downloads ends
_COMMANDS_AT_ONCE: Final = 100  # then others run


class _EndedError(Exception):
    """The script reached its end."""

    def __init__(self, end: ScriptEnd) -> None:
        self.end = end


class _LoopLeftError(Exception):
    """`break` or `continue`."""

    def __init__(self, *, is_continued: bool) -> None:
        self.is_continued = is_continued


@dataclass(slots=True)
class GrubRun:
    """The state of one configuration while it runs."""

    machine: SimulatedMachine
    url: str
    fetch: Fetch
    variables: GrubVariables
    kernel: LoadedFile | None = None
    arguments: str = ""
    initrds: list[LoadedFile] = field(default_factory=list)
    chained: BootsLocally | Chains | None = None
    functions: dict[str, Block] = field(default_factory=dict)
    entries: list[tuple[list[str], GrubMenuEntry]] = field(default_factory=list)
    printed: str = ""
    failure: BootFailedError | None = None  # the last file that could not be read
    line: int = 0
    commands: int = 0
    depth: int = 0
    pending_s: float = 0.0
    slept_s: float = 0.0
    reads: int = 0

    async def run(self, block: Block) -> ScriptEnd:
        """Run a configuration; then the default menu entry."""
        try:
            await self._run_block(block)
            for _ in range(_DEEPEST_SOURCE):
                if not self.entries:
                    break
                await self._run_default_entry()
        except _EndedError as ended:
            return ended.end
        except _LoopLeftError:
            raise script_error(self.line, "`break` or `continue` outside a loop") from None
        raise self._prompt()

    def _prompt(self) -> BootFailedError:
        if (failure := self.failure) is not None:
            sentence = f"{failure.sentence}; the script ends at line {self.line}, and GRUB shows its prompt"
            return BootFailedError(failure.step, sentence, cure=failure.cure, evidence=failure.evidence)
        return script_error(self.line, "the script ends without `boot` or `exit`, and GRUB shows its prompt")

    async def _run_default_entry(self) -> None:
        entries, self.entries = self.entries, []
        chosen = self.variables["default"] or "0"
        by_name = [entry for words, entry in entries if chosen in words]
        place = number(chosen) if chosen.isdecimal() else 0
        entry = by_name[0] if by_name else entries[min(place, len(entries) - 1)][1]
        await self._run_block(entry.body)
        if not entry.is_submenu:
            self.boot([])

    async def _run_block(self, block: Block) -> bool:
        """Run statements; return whether the last one succeeded."""
        succeeded = True
        for statement in block:
            succeeded = await self._run_statement(statement)
            self.variables["?"] = "0" if succeeded else "1"
        return succeeded

    async def _run_statement(self, statement: Statement) -> bool:
        self._count()
        if self.commands % _COMMANDS_AT_ONCE == 0:
            await asyncio.sleep(0)
        match statement:
            case GrubCommand():
                return await self._run_command(statement) is not statement.is_negated
            case GrubIf(branches, otherwise):
                for condition, body in branches:
                    if await self._run_block(condition):
                        return await self._run_block(body)
                return await self._run_block(otherwise)
            case GrubFor() | GrubWhile():
                await self._run_loop(statement)
                return True
            case GrubFunction(name, body):
                self.functions[name] = body
                return True
            case GrubMenuEntry(words):
                if len(self.entries) < _MOST_ENTRIES:
                    self.entries.append((self._expanded(words), statement))
                return True

    async def _run_loop(self, loop: GrubFor | GrubWhile) -> None:
        if isinstance(loop, GrubFor):
            for word in self._expanded(loop.words):
                self._count()
                self._assign(loop.variable, word)
                if not await self._run_round(loop.body):
                    break
            return
        while await self._run_block(loop.condition) is not loop.is_until:
            self._count()
            if not await self._run_round(loop.body):
                break

    async def _run_round(self, body: Block) -> bool:
        """Run a loop's body once; return whether the loop goes on."""
        try:
            await self._run_block(body)
        except _LoopLeftError as left:
            return left.is_continued
        return True

    def _count(self) -> None:
        self.commands += 1
        if self.commands > MOST_COMMANDS:
            raise script_error(self.line, f"the script does not end after {MOST_COMMANDS} commands")

    async def _run_command(self, command: GrubCommand) -> bool:
        self.line = command.line
        words = self._expanded(command.words)
        if not words:
            return True
        name, rest = words[0], words[1:]
        if name in self.functions:
            return await self._nested(self.functions[name])
        if (load := _LOADING.get(name)) is not None:
            return await load(self, rest)
        if (run := _COMMANDS.get(name)) is not None:
            return run(self, rest)
        return self._run_other(name)

    def _run_other(self, name: str) -> bool:
        if "=" in name:
            return self.set([name])
        if name in _NOT_SIMULATED:
            raise script_error(self.line, f"`{name}` is not simulated", cure="try the script on a real machine")
        if name not in _FAILING | _WITHOUT_EFFECT:
            raise script_error(self.line, f"GRUB prints \"error: can't find command `{printable_line(name)}'.\"")
        return name in _WITHOUT_EFFECT

    def _expanded(self, words: tuple[Word, ...]) -> list[str]:
        try:
            return expand_all(words, self.variables)
        except ValueError as error:
            raise script_error(self.line, str(error)) from None

    async def _nested(self, block: Block) -> bool:
        self.depth += 1
        if self.depth > _DEEPEST_SOURCE:
            raise script_error(self.line, "functions or sourced files are nested too deep")
        succeeded = await self._run_block(block)
        self.depth -= 1
        return succeeded

    # Files

    async def _read(self, name: str, step: Step) -> LoadedFile | None:
        """Read a file; print the error and return None if it cannot be read."""
        url = url_of(name, self.variables)
        if url is None:
            self._print(f"error: disk of {name} not found.")
            return None
        self.reads += 1
        if self.reads > _MOST_READS:
            raise script_error(self.line, f"the script reads more than {_MOST_READS} files")
        pause_s = min(self.pending_s, LONGEST_SLEEP_S - self.slept_s)
        self.pending_s = 0.0
        self.slept_s += pause_s
        await asyncio.sleep(self.machine.behaviour.wait_s(pause_s))
        try:
            return await self.fetch(url, step)
        except BootFailedError as error:
            self.failure = error
            self._print(error.sentence)
            return None

    async def load_kernel(self, words: list[str]) -> bool:
        self.kernel, self.initrds = None, []
        self.kernel = await self._read(self._first(words), Step.KERNEL)
        self.arguments = " ".join(words[1:])
        return self.kernel is not None

    async def load_initrds(self, words: list[str]) -> bool:
        if self.kernel is None:
            self._print("error: you need to load the kernel first.")
            return False
        found = [await self._read(name, Step.INITRD) for name in words[:_MOST_INITRDS]]
        self.initrds = [file for file in found if file is not None]
        return len(self.initrds) == len(words) > 0

    async def chain(self, words: list[str]) -> bool:
        name = self._first(words)
        url = url_of(name, self.variables)
        if url is None:
            self.chained = BootsLocally(f"chainloader {printable_line(name)}")
            return True
        file = await self._read(name, Step.LOADER)
        self.chained = None if file is None else Chains(url, file)
        return file is not None

    async def source(self, words: list[str]) -> bool:
        file = await self._read(self._first(words), Step.SCRIPT)
        return file is not None and await self._nested(parse_grub(file.text))

    async def run_configuration(self, words: list[str]) -> bool:
        name = self._first(words)
        url = url_of(name, self.variables)
        if url is not None and urlsplit(url).path == urlsplit(self.url).path:
            raise _EndedError(Waits(url, self.pending_s + self.slept_s, self.printed))
        file = await self._read(name, Step.SCRIPT)
        if url is not None and file is not None:
            raise _EndedError(Chains(url, file))
        return False

    # Without files

    def boot(self, _words: list[str]) -> bool:
        if self.chained is not None:
            raise _EndedError(self.chained)
        if self.kernel is None:
            self._print("error: you need to load the kernel first.")
            return False
        raise _EndedError(BootsKernel(self.kernel, tuple(self.initrds), self.arguments))

    def echo(self, words: list[str]) -> bool:
        self._print(" ".join(word for word in words if word not in ("-n", "-e")))
        return True

    def set(self, words: list[str]) -> bool:
        for word in words:
            name, separator, value = word.partition("=")
            if not separator:
                raise script_error(self.line, f"`set {printable_line(name)}` assigns nothing")
            self._assign(name, value)
        return True

    def _assign(self, name: str, value: str) -> None:
        try:
            self.variables[name] = value
        except ValueError as error:
            raise script_error(self.line, str(error)) from None

    def unset(self, words: list[str]) -> bool:
        for name in words:
            self.variables.pop(name, None)
        return True

    def sleep(self, words: list[str]) -> bool:
        self.pending_s += max(0, number(next((word for word in words if not word.startswith("-")), "0")))
        return True

    def test(self, words: list[str]) -> bool:
        return is_true(words)

    def bracket(self, words: list[str]) -> bool:
        if not words or words[-1] != "]":
            raise script_error(self.line, "GRUB prints 'error: syntax error.': `]` is missing")
        return is_true(words[:-1])

    def exit(self, words: list[str]) -> bool:
        raise _EndedError(BootsLocally(" ".join(["exit", *words[:1]])))

    def search(self, words: list[str]) -> bool:
        """Find the disk of the machine, which has the loader of an installed system and nothing else."""
        names = [word for word in words if not word.startswith("-")]
        is_found = "--file" in words and bool(names) and names[-1].startswith("/EFI/")
        for word in words if is_found else ():
            if word.startswith("--set="):
                self._assign(word.removeprefix("--set="), "hd0,gpt1")
        return is_found

    def reboot(self, _words: list[str]) -> bool:
        raise _EndedError(Restarts("reboot"))

    def halt(self, _words: list[str]) -> bool:
        raise _EndedError(Restarts("halt"))

    def leave_loop(self, _words: list[str]) -> bool:
        raise _LoopLeftError(is_continued=False)

    def next_round(self, _words: list[str]) -> bool:
        raise _LoopLeftError(is_continued=True)

    def _print(self, text: str) -> None:
        shown = console_text(text)
        if shown.strip():
            self.printed = shown
            self.machine.timeline.add(Step.SCRIPT, f"console: {shown}")

    def _first(self, words: list[str]) -> str:
        if not words:
            raise script_error(self.line, "GRUB prints 'error: filename expected.'")
        return words[0]


_LOADING: Final[Mapping[str, Callable[[GrubRun, list[str]], Awaitable[bool]]]] = {
    **dict.fromkeys(("linux", "linuxefi", "linux16"), GrubRun.load_kernel),
    **dict.fromkeys(("initrd", "initrdefi", "initrd16"), GrubRun.load_initrds),
    **dict.fromkeys(("source", "."), GrubRun.source),
    "chainloader": GrubRun.chain,
    "configfile": GrubRun.run_configuration,
}
_COMMANDS: Final[Mapping[str, Callable[[GrubRun, list[str]], bool]]] = {
    "[": GrubRun.bracket,
    "boot": GrubRun.boot,
    "break": GrubRun.leave_loop,
    "continue": GrubRun.next_round,
    "echo": GrubRun.echo,
    "exit": GrubRun.exit,
    "halt": GrubRun.halt,
    "reboot": GrubRun.reboot,
    "search": GrubRun.search,
    "set": GrubRun.set,
    "sleep": GrubRun.sleep,
    "test": GrubRun.test,
    "unset": GrubRun.unset,
}
_FAILING: Final = frozenset({"false", "keystatus", "regexp", "search.file", "search.fs_label", "search.fs_uuid"})
_NOT_SIMULATED: Final = frozenset({"eval", "return", "setparams", "shift"})
# They change nothing in what the machine requests.
_WITHOUT_EFFECT: Final = frozenset(
    {":", "background_color", "background_image", "clear", "export", "gfxmode", "insmod", "load_env", "load_video"}
    | {"loadfont", "net_add_addr", "net_add_dns", "net_add_route", "net_bootp", "net_dhcp", "net_ls_addr", "true"}
    | {"net_ls_cards", "net_ls_dns", "net_ls_routes", "net_set_vlan", "normal", "play", "probe", "rmmod", "save_env"}
    | {"serial", "sync", "terminal_input", "terminal_output"}
)


async def run_grub_script(
    machine: SimulatedMachine, text: str, *, url: str, fetch: Fetch, variables: Mapping[str, str] | None = None
) -> ScriptEnd:
    """Run a configuration that came from `url`; `fetch` reads files by absolute URLs.

    Raise BootFailedError with the line for a syntax error and an unknown command, and where GRUB shows its prompt.
    """
    run = GrubRun(machine, url, fetch, GrubVariables({**initial_variables(machine, url), **(variables or {})}))
    return await run.run(parse_grub(text))

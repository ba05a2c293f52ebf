"""Runs an iPXE script as iPXE does, until the machine boots, waits or fails.

A command that fails ends the script, unless `||` follows. https://ipxe.org/cmd; iPXE src/core/exec.c, image/script.c.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from netboot.model.install.event import Step
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.loaded_file import LoadedFile, absolute_url
from netboot.probe.machine import SimulatedMachine
from netboot.probe.scripts.ipxe_options import read_words
from netboot.probe.scripts.ipxe_settings import IpxeSettings
from netboot.probe.scripts.ipxe_syntax import IpxeScript, Joined, parse_ipxe, split_commands
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

Options = Mapping[str, str]
_MOST_IMAGES: Final = 64
_MOST_READS: Final = 256  # of one script: a loop of downloads ends
_LINES_AT_ONCE: Final = 100  # then others run


class CommandFailedError(Exception):
    """A command of a script failed; `cause` is why a file could not be read."""

    def __init__(self, text: str, cause: BootFailedError | None = None) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(slots=True)
class _Image:
    name: str
    file: LoadedFile
    arguments: str


@dataclass(slots=True)
class IpxeRun:
    """The state of one script while it runs."""

    machine: SimulatedMachine
    script: IpxeScript
    url: str
    fetch: Fetch
    settings: IpxeSettings
    position: int = 0
    line: int = 0
    kernel: _Image | None = None
    initrds: list[_Image] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    printed: str = ""
    pending_s: float = 0.0  # of `sleep`, spent before the next request
    slept_s: float = 0.0
    reads: int = 0
    end: ScriptEnd | None = None

    async def run(self) -> ScriptEnd:
        """Run until the script's end."""
        for count in range(MOST_COMMANDS):
            if count % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)
            if self.position >= len(self.script.lines):
                return BootsLocally("the end of the script")
            line = self.script.lines[self.position]
            self.position += 1
            self.line = line.number
            await self._run_line(line.text)
            if self.end is not None:
                return self.end
        raise script_error(self.line, f"the script does not end after {MOST_COMMANDS} lines")

    async def _run_line(self, text: str) -> None:
        try:
            expanded = self.settings.expand(text)
        except ValueError as error:
            raise script_error(self.line, str(error)) from None
        failure: CommandFailedError | None = None
        for joint, words in split_commands(expanded):
            if joint is Joined.AFTER_SUCCESS and failure is not None:
                continue
            if joint is Joined.AFTER_FAILURE and failure is None:
                continue
            failure = None
            try:
                if words:
                    await self._run_command(words[0], list(words[1:]))
            except CommandFailedError as error:
                failure = error
            except ValueError as error:
                raise script_error(self.line, str(error)) from None
            if self.end is not None:
                return
        if failure is not None:
            raise self._ended_by(failure)

    def _ended_by(self, failure: CommandFailedError) -> BootFailedError:
        place = f"line {self.line} of the script ends it"
        if (cause := failure.cause) is not None:
            return BootFailedError(cause.step, f"{cause.sentence}; {place}", cure=cause.cure, evidence=cause.evidence)
        return script_error(self.line, f"iPXE prints {str(failure)!r} and ends the script")

    async def _run_command(self, name: str, words: list[str]) -> None:
        options, words = read_words(name, words, line=self.line)
        if (load := _LOADING.get(name)) is not None:
            await load(self, words, options)
        elif (run := _COMMANDS.get(name)) is not None:
            run(self, words, options)
        elif name in _NEED_A_PERSON:
            raise script_error(self.line, f"`{name}` waits for a person at the console")
        elif name in _STOPS:
            self.end = Restarts(name)
        elif name not in _WITHOUT_EFFECT:
            raise script_error(self.line, f"iPXE has no command {printable_line(name)!r}")

    # Images

    async def load_kernel(self, words: list[str], options: Options) -> None:
        image = self._image_named(self._first(words))
        if image is None:
            file = await self._read(words[0], Step.KERNEL)
            image = _Image(options.get("name", file.name), file, " ".join(words[1:]))
        elif len(words) > 1:
            image.arguments = " ".join(words[1:])
        self.kernel = image

    async def boot(self, words: list[str], options: Options) -> None:
        if words:
            await self.load_kernel(words, options)
        if self.kernel is None:
            raise CommandFailedError("No bootable image (https://ipxe.org/2d03e11b)")
        self.end = BootsKernel(self.kernel.file, tuple(image.file for image in self.initrds), self.kernel.arguments)

    async def chain(self, words: list[str], _options: Options) -> None:
        target = self._first(words)
        url = self._absolute(target)
        if _without_query(url) == _without_query(self.url):
            self.end = Waits(url, self.pending_s + self.slept_s, self.printed)
            return
        self.end = Chains(url, await self._read(target, Step.SCRIPT))

    async def load_initrd(self, words: list[str], options: Options) -> None:
        if len(self.initrds) >= _MOST_IMAGES:
            raise script_error(self.line, f"the script loads more than {_MOST_IMAGES} images")
        file = await self._read(self._first(words), Step.INITRD)
        self.initrds.append(_Image(options.get("name", file.name), file, " ".join(words[1:])))

    async def _read(self, target: str, step: Step) -> LoadedFile:
        self.reads += 1
        if self.reads > _MOST_READS:
            raise script_error(self.line, f"the script reads more than {_MOST_READS} files")
        pause_s = min(self.pending_s, LONGEST_SLEEP_S - self.slept_s)
        self.pending_s = 0.0
        self.slept_s += pause_s
        await asyncio.sleep(self.machine.behaviour.wait_s(pause_s))
        try:
            return await self.fetch(self._absolute(target), step)
        except BootFailedError as error:
            self.printed = console_text(error.sentence)
            raise CommandFailedError(error.sentence, error) from None

    def _absolute(self, target: str) -> str:
        try:
            return absolute_url(self.url, target)
        except ValueError:  # a bracket without its end
            raise CommandFailedError(f"{console_text(target)} is no URL") from None

    def _image_named(self, name: str) -> _Image | None:
        images = [*([self.kernel] if self.kernel else []), *self.initrds]
        return next((image for image in images if image.name == name), None)

    def free(self, words: list[str], _options: Options) -> None:
        if self.kernel is not None and (not words or words[0] == self.kernel.name):
            self.kernel = None
        self.initrds = [image for image in self.initrds if words and image.name != words[0]]

    def set_arguments(self, words: list[str], _options: Options) -> None:
        image = self._image_named(self._first(words))
        if image is None:
            raise CommandFailedError("No such image")
        image.arguments = " ".join(words[1:])

    # Settings and the console

    def _print(self, text: str) -> None:
        shown = console_text(text)
        if shown.strip():
            self.printed = shown
            self.machine.timeline.add(Step.SCRIPT, f"console: {shown}")

    def echo(self, words: list[str], _options: Options) -> None:
        self._print(" ".join(words))

    def prompt(self, words: list[str], options: Options) -> None:
        self._print(" ".join(words))
        if "timeout" not in options:
            raise script_error(self.line, "`prompt` waits for a key at the console")
        raise CommandFailedError("Operation timed out")  # no key is pressed

    def set(self, words: list[str], _options: Options) -> None:
        self.settings.set(self._first(words), " ".join(words[1:]))

    def increment(self, words: list[str], _options: Options) -> None:
        amount = words[1] if len(words) > 1 else "1"
        if not amount.isdecimal() or len(amount) > 9:
            raise script_error(self.line, f"`inc` has the wrong number {printable_line(amount)!r}")
        self.settings.increment(self._first(words), int(amount))

    def isset(self, words: list[str], _options: Options) -> None:
        _succeed_if(bool(words))

    def iseq(self, words: list[str], _options: Options) -> None:
        _succeed_if(len(words) == 2 and words[0] == words[1])

    def menu(self, words: list[str], _options: Options) -> None:
        self.items.clear()
        self._print(" ".join(words))

    def item(self, words: list[str], options: Options) -> None:
        if words and "gap" not in options and len(self.items) < _MOST_IMAGES:
            self.items.append(words[0])

    def choose(self, words: list[str], options: Options) -> None:
        chosen = options.get("default") or (self.items[0] if self.items else "")
        if not chosen:
            raise script_error(self.line, "`choose` has no item")
        self.settings.set(self._first(words), chosen)
        self._print(f"{chosen} chosen")

    # The order of the lines

    def go_to(self, words: list[str], _options: Options) -> None:
        label = self._first(words)
        if label not in self.script.labels:
            raise script_error(self.line, f"there is no label {printable_line(label)!r}")
        self.position = self.script.labels[label]

    def sleep(self, words: list[str], _options: Options) -> None:
        seconds = self._first(words)
        if not seconds.isdecimal() or len(seconds) > 6:
            raise script_error(self.line, f"`sleep` has the wrong number {printable_line(seconds)!r}")
        self.pending_s += float(seconds)

    def exit(self, words: list[str], _options: Options) -> None:
        self.end = BootsLocally(f"exit {words[0] if words else 0}")

    def boot_disk(self, _words: list[str], options: Options) -> None:
        self.end = BootsLocally(f"sanboot --drive {options.get('drive', '0x80')}")

    def _first(self, words: list[str]) -> str:
        if not words:
            raise script_error(self.line, "the command has too few words")
        return words[0]


def _succeed_if(is_true: bool) -> None:
    if not is_true:
        raise CommandFailedError("Operation failed")


def _without_query(url: str) -> str:
    return url.partition("?")[0]


_LOADING: Final[Mapping[str, Callable[[IpxeRun, list[str], Options], Awaitable[None]]]] = {
    **dict.fromkeys(("kernel", "imgselect", "imgload"), IpxeRun.load_kernel),
    **dict.fromkeys(("boot", "imgexec"), IpxeRun.boot),
    **dict.fromkeys(("initrd", "module", "imgfetch"), IpxeRun.load_initrd),
    "chain": IpxeRun.chain,
}
_COMMANDS: Final[Mapping[str, Callable[[IpxeRun, list[str], Options], None]]] = {
    "choose": IpxeRun.choose,
    "clear": IpxeRun.set,
    "echo": IpxeRun.echo,
    "exit": IpxeRun.exit,
    "goto": IpxeRun.go_to,
    "imgargs": IpxeRun.set_arguments,
    "imgfree": IpxeRun.free,
    "inc": IpxeRun.increment,
    "iseq": IpxeRun.iseq,
    "isset": IpxeRun.isset,
    "item": IpxeRun.item,
    "menu": IpxeRun.menu,
    "prompt": IpxeRun.prompt,
    "sanboot": IpxeRun.boot_disk,
    "set": IpxeRun.set,
    "sleep": IpxeRun.sleep,
}
_NEED_A_PERSON: Final = frozenset({"config", "login", "read", "shell"})
_STOPS: Final = frozenset({"reboot", "poweroff"})
# They change nothing in what the machine requests; `dhcp` has run.
_WITHOUT_EFFECT: Final = frozenset(
    {"colour", "color", "console", "cpair", "cpuid", "dhcp", "ifclose", "ifconf", "ifopen", "ifstat", "imgstat"}
    | {"imgtrust", "imgverify", "nslookup", "ntp", "ping", "route", "show", "sync", "time", "vcreate", "vdestroy"}
)


async def run_ipxe_script(
    machine: SimulatedMachine, text: str, *, url: str, fetch: Fetch, settings: Mapping[str, str] | None = None
) -> ScriptEnd:
    """Run a script that came from `url`; `fetch` reads files by absolute URLs, `settings` are those of DHCP.

    Raise BootFailedError with the line for a syntax error, an unknown command or label, and a failure that ends it.
    """
    run = IpxeRun(machine, parse_ipxe(text), url, fetch, IpxeSettings(machine, settings))
    return await run.run()

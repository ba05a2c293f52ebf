"""Reads what a machine requests because of its Kickstart: release, reports of its scripts, first boot. Pure.

The scripts are shell of an operator's template: they are not run. URLs of the appliance are read from them, and what
cannot be read is a note. Syntax: pykickstart's parser.py, docs/kickstart-docs.rst.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netboot.model.install.event import Step
from netboot.model.urls import without_tokens_in_paths
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError

_SECTIONS: Final = (
    "pre",
    "pre-install",
    "post",
    "onerror",
    "traceback",
    "packages",
    "addon",
    "anaconda",
    "certificate",
)
_URL: Final = re.compile(r"https?://[^\s'\"<>|;)]+")
_REPORT: Final = re.compile(r"(https?://[^\s'\"]+?/report/[\w-]+)(?:/([a-z]+))?$")
_ARCHIVE: Final = re.compile(r"https?://[^\s'\"]+?/ign/[\w-]+/archive$")
_SUBMITTED: Final = re.compile(r"\b(?:submit|post) (checks|started)\b")  # of a function that writes the URL
_IGNITION: Final = "ignition.config.url"


@dataclass(frozen=True, slots=True)
class KickstartSection:
    """One `%pre`, `%post`, … of a Kickstart with its text, in which there are tokens."""

    kind: str
    text: str = field(repr=False)

    @property
    def urls(self) -> list[str]:
        return _URL.findall(self.text)


@dataclass(frozen=True, slots=True)
class KickstartDocument:
    """What was read. URLs have tokens, so they are in no `repr`."""

    release_url: str | None
    ref: str | None
    disk: str
    first_boot: tuple[str, ...] = field(repr=False)  # arguments of the installed system's kernel
    report_url: str | None = field(repr=False)  # without the event
    events: frozenset[str]  # that the scripts report
    archive_url: str | None = field(repr=False)
    log_url: str | None = field(repr=False)
    clock_url: str | None = field(repr=False)
    has_ref_check: bool
    notes: tuple[str, ...]

    def argument(self, name: str) -> str | None:
        """Return the value of the last argument `name=VALUE` of the installed system's kernel."""
        values = [each.partition("=")[2] for each in self.first_boot if each.startswith(f"{name}=")]
        return values[-1] if values else None

    @property
    def ignition_url(self) -> str | None:
        return self.argument(_IGNITION)


def read_kickstart(text: str) -> KickstartDocument:
    """Read a Kickstart; raise BootFailedError for one with which Anaconda stops."""
    commands, sections = _split(text)
    setup = _setup(commands)
    scripts = [section for section in sections if section.kind in ("pre", "pre-install", "post", "onerror")]
    found = [url for section in scripts for url in section.urls]
    reports = [match for url in found if (match := _REPORT.match(url))]
    events = {match[2] for match in reports if match[2]}
    events |= {event for section in scripts for event in _SUBMITTED.findall(section.text)}
    release_url, ref = setup.get("url"), setup.get("ref")
    document = KickstartDocument(
        release_url=release_url and release_url.rstrip("/"),
        ref=ref,
        disk=_disk(commands),
        first_boot=tuple(_first_boot(commands)),
        report_url=reports[0][1] if reports else None,
        events=frozenset(events),
        archive_url=next((url for url in found if _ARCHIVE.match(url)), None),
        log_url=next((match[0] for match in reports if match[2] == "log"), None),
        clock_url=next((url for url in found if url.endswith("/healthz")), None),
        has_ref_check=f"{release_url}/refs/heads/{ref}" in found,
        notes=(),
    )
    return _with_notes(document, commands)


def _with_notes(document: KickstartDocument, commands: Sequence[Sequence[str]]) -> KickstartDocument:
    included = [without_tokens_in_paths(" ".join(line[1:])) for line in commands if line[0] == "%include"]
    notes = [f"%include {printable_line(each)}: its content is not known here" for each in included]
    if document.report_url is None:
        notes.append("its scripts have no URL /report/…: nothing is reported, and the install never counts as done")
    elif missing := sorted({"checks", "started", "done"} - document.events):
        notes.append(f"that its scripts report {', '.join(missing)} cannot be read, so it is not sent")
    if document.ignition_url is None and document.archive_url is None:
        notes.append("it has neither ignition.config.url nor an archive: the first boot has no Ignition")
    return replace(document, notes=tuple(notes))


def _split(text: str) -> tuple[list[list[str]], list[KickstartSection]]:
    """Split a document into the words of its commands and its sections."""
    commands: list[list[str]] = []
    sections: list[KickstartSection] = []
    kind, lines = "", list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if kind:
            if word == "%end":
                sections.append(KickstartSection(kind, "\n".join(lines)))
                kind, lines = "", []
            elif word.startswith("%") and word[1:] in _SECTIONS:
                raise _syntax(number, f"Section %{kind} does not end with %end.")
            else:
                lines.append(line)
        elif word.startswith("%") and word[1:] in _SECTIONS:
            kind = word[1:]
        elif word and not word.startswith("#"):
            commands.append(_words(line, number))
    if kind:
        raise _syntax(len(text.splitlines()), f"Section %{kind} does not end with %end.")
    if not commands and not sections:
        raise _syntax(1, "it is empty, so Anaconda asks a person")
    return [words for words in commands if words], sections


def _words(line: str, number: int) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise _syntax(number, str(error)) from error


def _setup(commands: Sequence[Sequence[str]]) -> Mapping[str, str]:
    """Return the options of ostreesetup, without which no release is installed."""
    for words in commands:
        if words[0] == "ostreesetup":
            options = _options(words)
            if missing := [f"--{name}" for name in ("osname", "url", "ref") if not options.get(name)]:
                raise _syntax(None, f"the option {', '.join(missing)} of ostreesetup is required")
            return options
    return {}


def _options(words: Sequence[str]) -> dict[str, str]:
    """Read `--name=value` and `--name value`; an option without a value is empty."""
    options: dict[str, str] = {}
    for word, following in zip(words[1:], [*words[2:], ""], strict=True):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name] = value if equals or following.startswith("--") else following
    return options


def _disk(commands: Sequence[Sequence[str]]) -> str:
    for words in commands:
        if words[0] == "ignoredisk" and (disk := _options(words).get("only-use")):
            return disk
    return "the disk that its rule finds"


def _first_boot(commands: Sequence[Sequence[str]]) -> Iterator[str]:
    for words in commands:
        if words[0] == "bootloader":
            yield from _options(words).get("append", "").split()


def _syntax(line: int | None, sentence: str) -> BootFailedError:
    where = f"line {line} of the Kickstart" if line else "the Kickstart"
    return BootFailedError(
        Step.KICKSTART,
        f"Anaconda stops: the following problem occurred on {where}: {sentence}",
        cure="correct the template kickstart/node.ks.j2: netboot check",
    )

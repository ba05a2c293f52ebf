"""The options of iPXE's commands, as getopt reads them: before the other words. https://ipxe.org/cmd."""

from collections.abc import Mapping
from typing import Final

from netboot.model.words import printable_line
from netboot.probe.scripts.script_end import script_error

# Option to its long name; `=` if a value follows.
_IMAGE: Final = {
    "-n": "name=", "--name": "name=", "-t": "timeout=", "--timeout": "timeout=", "-a": "autofree",
    "--autofree": "autofree", "-r": "replace", "--replace": "replace",
}  # fmt: skip
_NETWORK: Final = {"-c": "configurator=", "--configurator": "configurator=", "-t": "timeout=", "--timeout": "timeout="}
_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    **dict.fromkeys(("kernel", "initrd", "module", "imgfetch", "imgselect", "imgload", "chain"), _IMAGE),
    **dict.fromkeys(("boot", "imgexec"), _IMAGE),
    **dict.fromkeys(("dhcp", "ifconf"), _NETWORK),
    "sanboot": {
        "-d": "drive=", "--drive": "drive=", "-n": "no-describe", "--no-describe": "no-describe", "-k": "keep",
        "--keep": "keep", "-f": "filename=", "--filename": "filename=", "-e": "extra=", "--extra": "extra=",
        "-l": "label=", "--label": "label=", "-u": "uuid=", "--uuid": "uuid=",
    },
    "prompt": {"-k": "key=", "--key": "key=", "-t": "timeout=", "--timeout": "timeout="},
    "item": {"-k": "key=", "--key": "key=", "-g": "gap", "--gap": "gap", "-d": "default", "--default": "default",
             "-m": "menu=", "--menu": "menu="},
    "menu": {"-n": "name=", "--name": "name=", "-d": "delete", "--delete": "delete"},
    "choose": {"-d": "default=", "--default": "default=", "-t": "timeout=", "--timeout": "timeout=", "-k": "keep",
               "--keep": "keep", "-m": "menu=", "--menu": "menu="},
    "echo": {"-n": "no-newline"},
}  # fmt: skip
_WITH_PLAIN_WORDS: Final = frozenset({"set", "iseq", "isset", "inc", "exit", "goto", "sleep", "clear"})


def read_words(command: str, words: list[str], *, line: int) -> tuple[dict[str, str], list[str]]:
    """Split the words behind a command into options by long name and the rest; an unknown option is an error."""
    known = _OPTIONS.get(command)
    found: dict[str, str] = {}
    if command in _WITH_PLAIN_WORDS or known is None:
        return found, words
    rest = list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option == "--":
            break
        name, has_value, value = option.partition("=")
        kind = known.get(name)
        if kind is None:
            raise script_error(line, f"iPXE's `{command}` has no option {printable_line(option)}")
        if kind.endswith("=") and not has_value:
            if not rest:
                raise script_error(line, f"{printable_line(option)} has no value")
            value = rest.pop(0)
        found[kind.rstrip("=")] = value
    return found, rest

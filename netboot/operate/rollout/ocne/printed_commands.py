"""Reads the kubeadm commands that `ocne cluster join` prints on standard error. Pure.

Source: ocne 2.3.3, `pkg/k8s/tokens.go`. The text around them changes (`ocne cluster console --direct`), so that only
what begins with `kubeadm` is read, and a person is shown the whole lines. They have a token and a key.
"""

import re
from collections.abc import Iterator
from typing import Final

MOST_COMMANDS: Final = 8
_LONGEST: Final = 1000  # characters of a line

_WORD: Final = r"[A-Za-z0-9._:=/,-]{1,128}"
_COMMAND: Final = re.compile(rf"\bkubeadm (?:token create|init phase upload-certs)(?: {_WORD})*")
_SPACES: Final = re.compile(r"\s+")


def printed_lines(errors: str) -> tuple[str, ...]:
    """Return the lines with a command, as a person runs them: without the sentence before it."""
    return tuple(_SPACES.sub(" ", line[begin:]).strip() for line, begin in _found(errors))


def kubeadm_commands(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command of kubeadm in each of these lines, as a program runs it on a control plane."""
    return tuple(match[0] for line in lines if (match := _COMMAND.search(line)) is not None)


def _found(errors: str) -> Iterator[tuple[str, int]]:
    found = 0
    for line in errors.splitlines():
        line = _SPACES.sub(" ", line[:_LONGEST])
        match = _COMMAND.search(line)
        if match is None or found == MOST_COMMANDS:
            continue
        found += 1
        piped = re.search(r"\b(echo|ocne|ssh) ", line[: match.start()])
        yield line, piped.start() if piped is not None else match.start()

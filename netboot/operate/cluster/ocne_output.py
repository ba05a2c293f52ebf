"""Recognises a whole file of `ocne`, and what it printed on standard error in a file for its standard output. Pure.

Source: ocne 2.3.3, `pkg/cluster/driver/byo/byo.go`: it prints the file as one line, then the commands to run, then it
may still fail and exit with 1. No text of the file is shown: the commands have a token and a certificate key.
"""

import re
from typing import Final

from netboot.ignition.check import read_ignition

WHOLE_FILE: Final = (
    'a whole file is one line of JSON that begins with {"ignition" and ends with }; '
    "ocne may have written one although it exited with 1"
)
_ONLY_STDOUT: Final = "redirect standard output alone: ocne cluster … > FILE, without 2>&1"
# The commands to run, and the lines of logrus with which ocne logs.
_PRINTED: Final = re.compile(
    r'\s*(Run th(is|ese) commands? before booting|kubeadm token create |echo "chroot /hostroot|Error: |time="'
    r"|(TRAC|DEBU|INFO|WARN|ERRO|FATA)\[)"
)


def standard_error_in(content: bytes) -> str | None:
    """Return which lines are of standard error, and how the whole file among them is taken; None if there are none."""
    lines = content.decode("utf-8", "replace").split("\n")
    printed = [number for number, line in enumerate(lines, start=1) if _PRINTED.match(line)]
    if not printed:
        return None
    whole = [number for number, line in enumerate(lines, start=1) if _is_whole(line)]
    what = f"line {printed[0]} of FILE is what ocne printed on standard error"
    if len(whole) == 1:
        return f"{what}, and line {whole[0]} the whole file; sed -n {whole[0]}p FILE > NEW takes it alone"
    return f"{what}, and not exactly one line is a whole file; {_ONLY_STDOUT}"


def _is_whole(line: str) -> bool:
    return line.startswith("{") and not read_ignition(line.encode()).problems

"""Writes the documents of a plan into a directory, one file each, readable by their owner alone."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from netboot.errors import NetbootError
from netboot.operate.planning.host_plan import HostPlan, plan_texts

MARKER: Final = ".netboot-plan"  # a directory that has it was written by an earlier plan


def write_plans(directory: Path, plans: Mapping[str, HostPlan]) -> None:
    """Write each host's documents into its own directory; raise NetbootError.

    Refuses a directory that holds other files, or that another user can change.
    """
    try:
        _prepare(directory)
        for name, plan in plans.items():
            below = directory / name
            below.mkdir(mode=0o700, exist_ok=True)
            for _title, file, text in plan_texts(plan):
                _write(below / file, text)
    except OSError as error:
        raise _refused(directory, f"{error.filename}: {error.strerror}", "name another directory") from error


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        status = directory.lstat()
        if not directory.is_dir() or directory.is_symlink():
            raise _refused(directory, "it is not a directory", "name one") from None
        if status.st_uid != os.geteuid():
            raise _refused(directory, "another user owns it", "name a directory of your own") from None
        if any(directory.iterdir()) and not (directory / MARKER).is_file():
            what = "it has files that no plan wrote"
            raise _refused(directory, what, "name an empty or a new directory") from None
        directory.chmod(0o700)
    _write(directory / MARKER, "Written by netboot plan --out, which replaces the files of each host here.\n")


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)


def _refused(directory: Path, what: str, cure: str) -> NetbootError:
    return NetbootError(f"cannot write the plan to {directory}: {what}; {cure}")

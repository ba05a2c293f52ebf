"""Reads files and runs programs of this computer for the checks of the box.

Each check gets one `BoxFacts`, so that a test can give it the files and programs of another computer.
"""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from netboot.errors import NetbootError
from netboot.model.words import first_line

_PROGRAMS: Final = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
_LONGEST_S: Final = 10.0


class NotCheckedError(NetbootError):
    """A check that cannot be made here; its text is the reason."""


class BoxFacts:
    """`root` has the directories proc, sys and etc; `programs` is the search path of programs."""

    def __init__(self, root: Path = Path("/"), programs: str = _PROGRAMS) -> None:
        self._root, self._programs = root, programs

    def path(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """Return the text of a file; None if it cannot be read."""
        try:
            return self.path(path).read_text(errors="replace")
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the number that is a file's whole text; None if there is none."""
        try:
            return int((self.text(path) or "").split()[0])
        except (ValueError, IndexError):
            return None

    def label(self, path: Path) -> str | None:
        """Return the SELinux label of a file; None if it has none."""
        try:
            return os.getxattr(path, "security.selinux").rstrip(b"\0").decode()
        except OSError:
            return None

    def output(self, *command: str, statuses: Iterable[int] = (0,)) -> str | None:
        """Run a program and return what it prints; None if it is not installed.

        Raises NotCheckedError if it ends with a status that is not one of `statuses`, or not in time.
        """
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LONGEST_S,
                check=False,
                env={"PATH": self._programs, "LC_ALL": "C"},
            )
        except FileNotFoundError:
            return None
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = error.strerror if isinstance(error, OSError) else f"it did not end within {_LONGEST_S:g} s"
            raise NotCheckedError(f"{command[0]} cannot be run: {reason}") from error
        if done.returncode not in statuses:
            why = first_line(done.stderr) or first_line(done.stdout) or f"status {done.returncode}"
            raise NotCheckedError(f"{' '.join(command)}: {why}")
        return done.stdout

"""Checks the files, commands and hosts that hooks name. Sends nothing: `netboot hooks test` does."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import assert_never

from netboot.doctor.configuration.check_report import CheckReport
from netboot.errors import HookSecretError
from netboot.model.access.secret_file import is_elsewhere
from netboot.model.hook import CommandTarget, Hook, WebTarget
from netboot.model.host.host import HostSet
from netboot.operate.hooks.signature import read_keys
from netboot.operate.programs.program_file import program_problem


def check_hooks(hooks: Iterable[Hook], hosts: HostSet) -> CheckReport:
    """Find what prevents deliveries, and what a receiver cannot verify."""
    report = CheckReport()
    for hook in hooks:
        problems, warnings = _findings(hook.target)
        report.problems += (f"hooks.{hook.name}: {problem}" for problem in problems)
        report.warnings += (f"hooks.{hook.name}: {warning}" for warning in warnings)
        if unknown := sorted(name for name in hook.hosts if hosts.get(name) is None):
            report.warnings.append(
                f"hooks.{hook.name}: no host is called {', '.join(unknown)}; correct hosts of the hook"
            )
    return report


def _findings(target: WebTarget | CommandTarget) -> tuple[Iterable[str], Iterable[str]]:
    match target:
        case WebTarget():
            return _problems_of_web(target), _warnings_of_web(target)
        case CommandTarget():
            problem = program_problem(target.command, correct="correct command", is_run_here=False)
            return ([str(problem)] if problem is not None else []), ()
        case _:
            assert_never(target)


def _problems_of_web(target: WebTarget) -> Iterator[str]:
    if target.secret_file is not None and _may_be_read(target.secret_file):
        try:
            read_keys(target.secret_file)
        except HookSecretError as error:
            yield str(error)
    if target.ca_file is not None and _may_be_read(target.ca_file):
        from netboot.operate.hooks.webhook import trusting  # slow to load

        try:
            trusting(target.ca_file)
        except OSError as error:
            yield f"{error.strerror}; give the CA of the web server in PEM"


def _warnings_of_web(target: WebTarget) -> Iterator[str]:
    if target.secret_file is None and target.url.startswith("http:"):
        yield f"its requests to {target} are neither encrypted nor signed; use https, or set secret_file"
    secret = target.secret_file
    if secret is not None and os.access(secret, os.F_OK) and secret.stat().st_mode & 0o004:
        yield f"every user may read the secret {secret}; chmod o= {secret}"


def _may_be_read(path: Path) -> bool:
    """Return whether this user may read a file, or it is missing; what the daemon's user may read is checked apart."""
    return os.access(path, os.R_OK) or not (os.access(path, os.F_OK) or is_elsewhere(path))

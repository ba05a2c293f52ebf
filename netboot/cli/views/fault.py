"""Shows why a command failed, as text and as JSON."""

import json

import click

from netboot.errors import NO_RIGHT, ConfigError, NetbootError


def fault_text(error: NetbootError | PermissionError) -> str:
    """Describe a fault: one sentence, or one line for each fault of the configuration."""
    match error:
        case ConfigError(problems=problems):
            count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
            return f"{error}\n{count}; nothing was changed"
        case PermissionError():  # of files for which the command has no message of its own
            return f"netboot: cannot open {error.filename}: {error.strerror}; {NO_RIGHT}"
        case _:
            return f"netboot: {error}"


def print_fault_as_json(error: NetbootError | PermissionError | click.ClickException) -> None:
    """Print one line: the error as the API shows it, with `ok` false."""
    from netboot.admin.json_views import error_view  # slow to load

    match error:
        case NetbootError():
            shown = error_view(error)
        case click.ClickException():
            shown = {"error": error.format_message(), "code": "usage"}
        case _:
            shown = {"error": fault_text(error).removeprefix("netboot: "), "code": "permission-denied"}
    click.echo(json.dumps({"ok": False, **shown}, ensure_ascii=False))

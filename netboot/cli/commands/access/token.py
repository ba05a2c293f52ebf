"""`netboot token`: what programs send to the API. A token is printed once, when it is made."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from netboot.admin.texts.ages import ago
from netboot.cli.commands.access.access_request import run_with_access
from netboot.cli.commands.access.user import role_choice
from netboot.cli.commands.daemon_or_store import READING
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.model.access.access_rule import UserRole
from netboot.operate.access.api_tokens import NewToken

_COLUMNS: Final = ("TOKEN", "ROLE", "CREATED", "BY", "EXPIRES", "LAST USED")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


@click.group(cls=Group)
def token() -> None:
    """Make, list and revoke the API tokens of programs."""


def _life(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta | None:
    if text == "never":
        return None
    found = re.fullmatch(r"([0-9]{1,6})([dhm])", text)
    if found is None:
        raise click.BadParameter("write it as 90d, 12h, 30m or never")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@token.command()
@click.argument("name")
@click.option("--role", type=role_choice, required=True, help="admin: everything; read-only: no change.")
@click.option("--expires", callback=_life, default="90d", show_default=True, help="After 90d, 12h, 30m, or never.")
@config_and_json
def create(config: Path, name: str, role: str, expires: timedelta | None, as_json: bool) -> None:
    """Make the API token NAME and print it, once: only its hash is stored.

    A program sends it in the header `Authorization: Bearer TOKEN`.
    """
    new = NewToken(name, UserRole(role), expires)
    created = run_with_access(config, lambda uses: uses.tokens.create(new))
    if not as_json:
        click.echo(f"netboot: token {name} of role {role}, {_end(created)}; it is shown only once", err=True)
    print_found(created, as_json, [created["token"]])


@token.command("list")
@config_and_json
def list_tokens(config: Path, as_json: bool) -> None:
    """List the API tokens, with their roles, their ends and when they were used last."""
    found = run_with_access(config, lambda uses: uses.tokens.all(), work=READING)
    print_table(found, as_json, _COLUMNS, map(_row, found))


@token.command()
@click.argument("name")
@config_and_json
def revoke(config: Path, name: str, as_json: bool) -> None:
    """Revoke the API token NAME: what uses it is refused from now on."""
    found = run_with_access(config, lambda uses: uses.tokens.revoke(name))
    print_found(found, as_json, [f"token {found['name']} is revoked"])


def _end(found: Mapping[str, Any]) -> str:
    return f"valid until {found['expires_at'][:16]}Z" if found["expires_at"] else "which does not expire"


def _row(found: Mapping[str, Any]) -> Sequence[str]:
    expires = f"{found['expires_at'][:16]}Z" if found["expires_at"] else "never"
    created, used = ago(found["created_at"]), ago(found["used_at"])
    return found["name"], found["role"], created, found["created_by"], expires, used

"""`netboot user`: who may log in to the pages, and with which role. A password is never an argument."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from netboot.admin.texts.ages import ago
from netboot.cli.commands.access.access_request import run_with_access
from netboot.cli.commands.daemon_or_store import READING
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.model.access.access_rule import UserRole
from netboot.model.words import printable
from netboot.operate.access.user_accounts import NewUser, UserEdit

_COLUMNS: Final = ("USER", "ROLE", "CREATED", "LAST LOGIN", "LOGGED IN FROM")
_LONGEST_FILE: Final = 4096  # bytes

role_choice = click.Choice([role.value for role in UserRole])
password_file = click.option(
    "--password-file",
    type=click.File("r", encoding="utf-8"),
    help="Read the password from this file (- for standard input): its first line.",
)


@click.group(cls=Group)
def user() -> None:
    """Add, change, list and remove the users who may log in."""


@user.command()
@click.argument("name")
@click.option("--role", type=role_choice, required=True, help="admin: everything; read-only: no change.")
@password_file
@config_and_json
def add(config: Path, name: str, role: str, password_file: Any, as_json: bool) -> None:
    """Add the user NAME.

    Without --password-file the password is requested, or read from standard input if that is no terminal. From the
    first user on, changes over loopback (admin.listen) need a login or an API token.
    """
    new = NewUser(name, UserRole(role), read_password(password_file))
    changed = run_with_access(config, lambda uses: uses.users.add(new))
    _print_change(changed, as_json, f"{name} may log in with role {role}")


@user.command("list")
@config_and_json
def list_users(config: Path, as_json: bool) -> None:
    """List the users, with their roles and the addresses from which they are logged in now."""
    found = run_with_access(config, lambda uses: uses.users.all(), work=READING)
    print_table(found, as_json, _COLUMNS, map(_row, found))


@user.command("set")
@click.argument("name")
@click.option("--role", type=role_choice, help="The new role.")
@click.option("--password", "has_password", is_flag=True, help="Request a new password.")
@password_file
@config_and_json
def set_user(config: Path, name: str, role: str | None, has_password: bool, password_file: Any, as_json: bool) -> None:
    """Change role or password of the user NAME, whose logins end."""
    is_new = has_password or password_file is not None
    if role is None and not is_new:
        raise click.UsageError("nothing to change; give --role, --password or --password-file")
    edit = UserEdit(name, UserRole(role) if role else None, read_password(password_file) if is_new else None)
    changed = run_with_access(config, lambda uses: uses.users.change(edit))
    _print_change(changed, as_json, f"{name} has role {changed['user']['role']}" + (", and a new password" * is_new))


@user.command()
@click.argument("name")
@config_and_json
def remove(config: Path, name: str, as_json: bool) -> None:
    """Remove the user NAME, whose logins end. API tokens that the user made stay valid."""
    changed = run_with_access(config, lambda uses: uses.users.remove(name))
    _print_change(changed, as_json, f"{name} may not log in any more")


def read_password(file: Any) -> str:
    """Read a password: of a file its first line, else what is typed twice, else the first line of standard input."""
    if file is None and sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    text: str = (file or sys.stdin).read(_LONGEST_FILE)
    return text.partition("\n")[0].removesuffix("\r")


def _print_change(changed: Mapping[str, Any], as_json: bool, sentence: str) -> None:
    print_found(changed, as_json, map(printable, [sentence, *changed["notes"]]))


def _row(found: Mapping[str, Any]) -> Sequence[str]:
    addresses = ", ".join(sorted({session["address"] for session in found["sessions"]}))
    return found["name"], found["role"], ago(found["created_at"]), ago(found["logged_in_at"]), addresses or "–"

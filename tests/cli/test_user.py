"""`netboot user` without a daemon; tests/daemon has it with one."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fixtures.access import PASSWORD
from fixtures.command_line import CommandLine

from netboot.cli.main import cli
from netboot.errors import AccountRefusedError, UnknownAccountError

ITSELF = "netboot: no daemon runs; {} the store itself; start it with systemctl start netboot\n"


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\r\nanother line\n")
    return str(file)


def typed(netboot: CommandLine, text: str, *arguments: str) -> Result:
    """Run a command whose standard input is no terminal."""
    command = ["--config", str(netboot.config), *arguments]
    return CliRunner().invoke(cli, command, prog_name="netboot", input=text)


def test_a_user_is_added_listed_changed_and_removed(netboot: CommandLine, password_file: str):
    added = netboot("user", "add", "alice", "--role", "admin", "--password-file", password_file)
    second = typed(netboot, f"{PASSWORD}\n", "user", "add", "bob", "--role", "read-only")
    listed = netboot("user", "list")
    changed = typed(netboot, f"{PASSWORD}2", "user", "set", "bob", "--role", "admin", "--password")
    shown = netboot.json("user", "list")
    removed = netboot.printed("user", "remove", "alice")

    assert added.stdout == (
        "alice may log in with role admin\nfrom now on, a change over loopback needs a login or an API token\n"
    )
    assert added.stderr == ITSELF.format("changed")
    assert (second.exit_code, second.stdout) == (0, "bob may log in with role read-only\n")
    assert [line.split("\t")[:2] for line in listed.stdout.splitlines()] == [
        ["USER", "ROLE"],
        ["alice", "admin"],
        ["bob", "read-only"],
    ]
    assert listed.stderr == ITSELF.format("read")
    assert changed.stdout == "bob has role admin, and a new password\n"
    assert [(user["name"], user["role"], user["sessions"]) for user in shown] == [
        ("alice", "admin", []),
        ("bob", "admin", []),
    ]
    assert removed == "alice may not log in any more\n"
    assert PASSWORD not in added.output + second.output + listed.output + changed.output + str(shown)


def test_a_refused_change_is_a_fault_with_its_reason(netboot: CommandLine):
    short = typed(netboot, "short\n", "user", "add", "alice", "--role", "admin")
    unknown = netboot("user", "remove", "eve")
    nothing = netboot("user", "set", "alice")

    assert isinstance(short.exception, AccountRefusedError)
    assert str(short.exception) == "a password has from 12 to 256 characters; this one has 5"
    assert isinstance(unknown.exception, UnknownAccountError)
    assert (nothing.exit_code, "nothing to change; give --role" in nothing.output) == (2, True)


def test_a_password_is_no_argument_and_a_role_is_one_of_two(netboot: CommandLine):
    assert netboot("user", "add", "alice", PASSWORD, "--role", "admin").exit_code == 2
    assert "'admin', 'read-only'" in netboot("user", "add", "alice", "--role", "root").output

"""`netboot token` without a daemon; tests/daemon has it with one."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.command_line import CommandLine

from netboot.errors import AccountRefusedError, UnknownAccountError


def test_a_token_is_printed_once_listed_and_revoked(netboot: CommandLine):
    created = netboot("token", "create", "ci", "--role", "read-only", "--expires", "30d")
    as_json = netboot.json("token", "create", "forever", "--role", "admin", "--expires", "never")
    listed = netboot("token", "list")
    (ci, forever) = netboot.json("token", "list")
    revoked = netboot.printed("token", "revoke", "ci")

    token = created.stdout.strip()
    assert re.fullmatch(r"nb_[A-Za-z0-9_-]{43}", token)
    assert re.search(
        r"^netboot: token ci of role read-only, valid until \S+Z; it is shown only once$", created.stderr, re.MULTILINE
    )
    assert (as_json["name"], as_json["expires_at"], as_json["token"][:3]) == ("forever", None, "nb_")
    assert [line.split("\t")[:2] for line in listed.stdout.splitlines()] == [
        ["TOKEN", "ROLE"],
        ["ci", "read-only"],
        ["forever", "admin"],
    ]
    expires_at = datetime.fromisoformat(ci["expires_at"])
    assert timedelta(days=29, hours=23) < expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert (ci["used_at"], forever["role"], forever["created_by"][:4]) == (None, "admin", "uid ")
    assert revoked == "token ci is revoked\n"
    assert token not in listed.output + str(ci)


@pytest.mark.parametrize("wrong", ["", "90", "d", "1w", "-1d", "1.5d", "9999999d"])
def test_a_time_that_is_none_is_refused(netboot: CommandLine, wrong: str):
    done = netboot("token", "create", "ci", "--role", "admin", "--expires", wrong)

    assert (done.exit_code, "write it as 90d, 12h, 30m or never" in done.output) == (2, True)


def test_a_refused_change_is_a_fault_with_its_reason(netboot: CommandLine):
    netboot("token", "create", "ci", "--role", "admin")

    assert isinstance(netboot("token", "create", "ci", "--role", "admin").exception, AccountRefusedError)
    assert isinstance(
        netboot("token", "create", "x", "--role", "admin", "--expires", "0d").exception, AccountRefusedError
    )
    assert isinstance(netboot("token", "revoke", "eve").exception, UnknownAccountError)

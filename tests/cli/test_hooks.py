"""`netboot hooks`, without a daemon; tests/daemon has it with one."""

import re

import pytest
from fixtures.command_line import SETTINGS, CommandLine

from netboot.errors import UnknownHookError

NO_DAEMON = "netboot: no daemon runs, so no event is delivered; start it with systemctl start netboot\n"


@pytest.fixture
def hooks(netboot: CommandLine) -> CommandLine:
    """A hook that runs a command, and one whose web server has no secret file."""
    netboot.config.write_text(
        f"{SETTINGS}hooks:\n"
        "  - {name: record, command: [/bin/echo, taken], events: [install.moved]}\n"
        "  - {name: pager, url: 'https://hooks.example.org/XYZZY', secret_file: none, events: ['*']}\n"
    )
    return netboot


def test_hooks_are_listed_with_what_waits_for_them(hooks: CommandLine):
    hooks.printed("install", "arm", "w1", "--force")

    done = hooks("hooks", "list")
    record, pager = hooks.json("hooks", "list")

    assert done.stderr == NO_DAEMON
    assert re.sub(r"\d+ s ago", "AGO", done.stdout) == (
        "HOOK\tSTATE\tWAITING\tOLDEST\tDELIVERED\tTARGET\tLAST FAILURE\n"
        "record\tunused\t1\tAGO\tnever\t/bin/echo\t–\n"
        "pager\tunused\t1\tAGO\tnever\thttps://hooks.example.org\t–\n"
    )
    assert (record["waiting"], record["signed"], record["events"]) == (1, False, ["install.moved"])
    assert (pager["waiting"], pager["signed"], pager["target"]) == (1, True, "https://hooks.example.org")
    assert record["oldest_at"] is not None
    assert "XYZZY" not in done.output


def test_a_test_event_is_delivered_and_the_answer_printed(hooks: CommandLine):
    found = hooks.json("hooks", "test", "record")

    assert {**found, "seconds": 0} == {
        "name": "record",
        "target": "/bin/echo",
        "ok": True,
        "answer": "exit code 0 taken",
        "seconds": 0,
    }
    assert hooks.printed("hooks", "test", "record").endswith(" s by /bin/echo: exit code 0 taken\n")


def test_a_test_event_that_is_not_accepted_is_a_failure(hooks: CommandLine):
    printed = hooks.printed("hooks", "test", "pager", status=1)

    assert printed.startswith("pager: failed in 0.")
    assert "by https://hooks.example.org: cannot read the secret ./none: No such file or directory; " in printed


def test_a_hook_that_is_not_declared_is_refused_with_those_that_are(hooks: CommandLine):
    done = hooks("hooks", "test", "nobody")

    assert isinstance(done.exception, UnknownHookError)
    assert str(done.exception) == "no hook is called nobody; those in force: record, pager"

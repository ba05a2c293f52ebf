"""Events are given to real programs that succeed, fail, hang, print without end and leave processes behind."""

import asyncio
import errno
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.daemon import wait_until

from netboot.model.hook import CommandTarget
from netboot.model.install.event import Event
from netboot.operate.hooks.attempt import Accepted, Failed, Outcome
from netboot.operate.hooks.hook_command import run_command
from netboot.operate.hooks.hook_message import message_of

MESSAGE = message_of(Event("install.moved", datetime(2026, 11, 29, tzinfo=UTC), data={"to": "ready"}), "box1")


def run(*command: str, timeout_s: float = 10.0) -> Outcome:
    return asyncio.run(run_command(CommandTarget(command), MESSAGE, timeout_s=timeout_s))


def shell(script: str, *arguments: str, timeout_s: float = 10.0) -> Outcome:
    return run("/bin/sh", "-c", script, "sh", *arguments, timeout_s=timeout_s)


def test_a_command_gets_the_event_on_its_standard_input(tmp_path: Path):
    assert shell('cat > "$1"', str(tmp_path / "event")) == Accepted("exit code 0")

    assert json.loads((tmp_path / "event").read_text())["data"] == {"to": "ready"}


def test_arguments_are_not_read_by_a_shell(tmp_path: Path):
    hostile = f"$(touch {tmp_path}/made); `touch {tmp_path}/made` | touch {tmp_path}/made"

    assert run("/bin/echo", hostile) == Accepted(f"exit code 0 {hostile}")
    assert not (tmp_path / "made").exists()


def test_a_command_has_few_variables_and_begins_in_the_root_directory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NETBOOT_CONFIG", "/secret")

    assert run("/usr/bin/env") == Accepted(
        "exit code 0 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )
    assert shell("env | wc -l; pwd") == Accepted("exit code 0 3")  # the shell adds PWD
    assert run("/bin/pwd") == Accepted("exit code 0 /")


def test_an_attempt_that_cannot_begin_leaves_no_file_open(monkeypatch: pytest.MonkeyPatch):
    def refuse(_name: str) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "memfd_create", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))

    assert run("/bin/true") == Failed("cannot run /bin/true: Too many open files")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_command_has_no_file_of_the_daemon():
    with Path("/etc/hostname").open() as kept:
        os.set_inheritable(kept.fileno(), True)
        assert shell("exec ls /proc/self/fd | tr '\\n' ' '") == Accepted("exit code 0 0 1 2 3")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "/bin/sh: exit code 3"),
        ("echo pager is off >&2; exit 1", "/bin/sh: exit code 1 pager is off"),
        ("kill -SEGV $$", "/bin/sh: ended by SIGSEGV"),
        ("kill -40 $$", "/bin/sh: ended by signal 40"),
    ],
)
def test_another_end_than_exit_code_0_is_a_failure_with_what_it_printed(script: str, reason: str):
    assert shell(script) == Failed(reason)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/nonexistent/notify", "cannot run /nonexistent/notify: No such file or directory"),
        ("/dev/null", "cannot run /dev/null: Permission denied"),
        ("/etc", "cannot run /etc: Permission denied"),
    ],
)
def test_a_command_that_cannot_be_run_is_a_failure(command: str, reason: str):
    assert run(command) == Failed(reason)


def test_a_command_that_hangs_is_killed_with_what_it_started(tmp_path: Path):
    began_s = time.monotonic()

    outcome = shell('sleep 3600 & echo $! > "$1"; wait', str(tmp_path / "pid"), timeout_s=0.5)

    assert outcome == Failed("/bin/sh did not end within 0.5 s and was killed")
    assert time.monotonic() - began_s < 5
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_cancelled_command_is_killed(tmp_path: Path):
    async def scenario() -> None:
        script = 'echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 3600'
        command = ("/bin/sh", "-c", script, "sh", str(tmp_path / "pid"))
        task = asyncio.create_task(run_command(CommandTarget(command), MESSAGE, timeout_s=60))
        await asyncio.to_thread(wait_until, lambda: (tmp_path / "pid").exists() or None)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())

    assert ended(int((tmp_path / "pid").read_text()))


def test_a_command_that_prints_without_end_is_read_and_only_the_beginning_is_kept():
    assert shell("echo first; head -c 3000000 /dev/zero; exit 1") == Failed("/bin/sh: exit code 1 first")


def test_a_process_that_keeps_the_output_open_delays_no_delivery():
    began_s = time.monotonic()

    assert shell("echo done; sleep 30 & exit 0") == Accepted("exit code 0 done")
    assert time.monotonic() - began_s < 5


def test_a_command_that_does_not_read_its_input_succeeds():
    assert run("/bin/true") == Accepted("exit code 0")


def test_no_descriptor_remains_open():
    async def scenario() -> tuple[int, int]:
        for command in ("/bin/true", "/nonexistent"):
            await run_command(CommandTarget((command,)), MESSAGE, timeout_s=5)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for command in ("/bin/true", "/bin/false", "/nonexistent", "/etc"):
            await run_command(CommandTarget((command,)), MESSAGE, timeout_s=5)
        return before, len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before, after = asyncio.run(scenario())

    assert before == after


def ended(pid: int) -> bool:
    """Wait until a process has ended; a zombie has."""
    for _ in range(100):
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False

"""`.ci/isolated` runs the tests in namespaces of their own, and nothing that they started outlives them."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).resolve().parents[2]
ISOLATED = PROJECT / ".ci" / "isolated"
# A test run with a child, and a daemon that left its session.
BUSY = 'sleep $$MARK & setsid sleep $$MARK & echo started; python3 -c "import time; time.sleep($$MARK)"'


def with_mark(mark: str) -> list[int]:
    """The processes that have `mark` among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "cmdline").read_text():
                found.append(int(process.name))
    return found


@pytest.fixture
def mark() -> Iterator[str]:
    """A number of seconds that no other process sleeps."""
    mark = f"6{int.from_bytes(os.urandom(4), 'big'):010}"
    yield mark
    for pid in with_mark(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def make_that_tests(tmp_path: Path, mark: str) -> subprocess.Popen[str]:
    """Start `make` with a target that runs isolated, and wait until it runs."""
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"SHELL := /bin/bash\ntest:\n\t@{ISOLATED} bash -c '{BUSY}'\n".replace("$$MARK", mark))
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    make = subprocess.Popen(
        ["make", "-f", str(makefile), "test"], start_new_session=True, text=True, stdout=subprocess.PIPE, env=alone
    )
    assert make.stdout is not None
    assert make.stdout.readline() == "started\n"
    return make


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_to_make_ends_everything_that_it_started(tmp_path: Path, mark: str, number: signal.Signals):
    with make_that_tests(tmp_path, mark) as make:
        assert with_mark(mark) != []
        make.send_signal(number)
        assert make.stdout is not None
        assert make.stdout.read() == ""  # no process has it open any longer

    assert gone(mark)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_from_the_terminal_ends_everything(tmp_path: Path, mark: str, number: signal.Signals):
    with make_that_tests(tmp_path, mark) as make:
        os.killpg(make.pid, number)

    assert make.returncode != 0
    assert gone(mark)


def gone(mark: str) -> bool:
    deadline = time.monotonic() + 10
    while with_mark(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return with_mark(mark) == []


def test_the_command_has_an_empty_run_directory_a_loopback_and_its_own_processes():
    command = 'test -z "$(ls /run/netns)"; ip -brief link; ls -d /proc/[0-9]* | wc -l'
    ran = subprocess.run([ISOLATED, "bash", "-ec", command], capture_output=True, text=True, check=True)

    (link, processes) = ran.stdout.splitlines()
    assert link.split()[:2] == ["lo", "UNKNOWN"]  # up
    assert int(processes) < 8


def test_the_commands_input_and_exit_status_are_its_own():
    ran = subprocess.run([ISOLATED, "bash", "-c", "cat; exit 3"], input="typed", capture_output=True, text=True)

    assert (ran.stdout, ran.stderr, ran.returncode) == ("typed", "", 3)


def test_a_user_who_may_not_unshare_gets_the_cure():
    public = Path(tempfile.mkdtemp())  # the user `nobody` may not be able to read the project
    public.chmod(0o755)
    script = Path(shutil.copy(ISOLATED, public))
    as_nobody = ["setpriv", "--reuid=nobody", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    ran = subprocess.run([*as_nobody, script, "true"], capture_output=True, text=True, cwd="/")
    shutil.rmtree(public)

    assert ran.returncode == 1
    assert ran.stderr == (
        "cannot run true in namespaces of its own: unshare: unshare failed: Operation not permitted; "
        "run as root where unshare is permitted (docker: --privileged)\n"
    )

"""The commands of a lab: its name must lead nowhere else, and a second Ctrl-C ends what has nothing to clean up."""

import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from netboot.cli.commands.lab import lab


@pytest.mark.parametrize("name", ["../x", "/etc", "", ".", "bad name!", "-x", "a" * 33, "Lab"])
@pytest.mark.parametrize("command", ["up", "boot", "down"])
def test_a_name_that_could_lead_elsewhere_is_wrong_use(command: str, name: str):
    printed = CliRunner().invoke(lab, [command, f"--name={name}"])

    assert printed.exit_code == 2
    assert "use lower-case letters, digits and hyphens" in printed.output


WAITS_FOR_A_THREAD = """
import asyncio, threading
from netboot.cli.commands.lab import _run

def work():
    print("begun", flush=True)
    threading.Event().wait(60)

_run(asyncio.to_thread(work))
"""


def test_a_second_ctrl_c_ends_a_lab_that_only_waits_for_a_thread():
    with subprocess.Popen([sys.executable, "-c", WAITS_FOR_A_THREAD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            for _ in range(20):
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    continue
            assert process.poll() == -signal.SIGINT
        finally:
            process.kill()

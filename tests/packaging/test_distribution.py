"""`.ci/pytest` shares the tests between two processes with namespaces of their own; a failure there fails the run."""

import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).resolve().parents[2]
# Each of two files has the same port, /run and process numbers for itself while the test of the other file runs.
AT_ONCE = """
import os, socket, time
from pathlib import Path

def test_{name}():
    with socket.create_server(("127.0.0.1", 69)):
        Path("/run/here").touch(exist_ok=False)
        written = Path("{directory}/{name}.new")
        written.write_text(str(len([each for each in os.listdir("/proc") if each.isdigit()])))
        written.rename("{directory}/{name}")  # the other test reads the file as soon as it is there
        deadline = time.monotonic() + 60
        while not Path("{directory}/{other}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert int(Path("{directory}/{other}").read_text()) < 8
"""
HANGS_ONCE = """
import threading
from pathlib import Path

def test_hangs():
    begun = Path("{directory}/begun")
    if not begun.exists():
        begun.touch()
        threading.Event().wait()

def test_after(): ...
"""
LEAVES = "from pyroute2 import netns\ndef test_it(): netns.create('left')\n"


def run(directory: Path, *more_options: str, **files: str) -> tuple[int, str]:
    """Run these test files with this project's hooks; return the exit status and the output."""
    for name, text in files.items():
        (directory / f"test_{name}.py").write_text(text)
    settings = directory / "pytest.ini"
    settings.write_text("[pytest]\n")
    options = ["-qra", "-p", "conftest", "-p", "no:cacheprovider", "--rootdir", directory, "-c", settings]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [PROJECT / ".ci/pytest", *options, *more_options, directory],
        env=environment | {"PYTHONPATH": str(PROJECT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout


def test_two_files_run_at_once_and_share_nothing(tmp_path: Path):
    files = {
        name: AT_ONCE.format(name=name, other=other, directory=tmp_path)
        for name, other in [("one", "other"), ("other", "one")]
    }

    status, output = run(tmp_path, **files)

    assert (status, output.splitlines()[-1].split(" in ")[0]) == (0, "2 passed")


def test_a_failure_in_one_of_the_processes_is_named_and_fails_the_run(tmp_path: Path):
    status, output = run(tmp_path, one="def test_it(): ...", other="def test_it(): raise ValueError('fault')")

    assert status == 1
    assert "E   ValueError: fault" in output
    assert re.search(r"^FAILED \S+/test_other.py::test_it", output, re.MULTILINE)
    assert output.splitlines()[-1].startswith("1 failed, 1 passed in ")


def test_a_test_that_hangs_once_fails_the_run_and_the_others_run(tmp_path: Path):
    makefile = (PROJECT / "Makefile").read_text()
    found = re.search(r"^ONE_HANG := (.*)$", makefile, re.MULTILINE)
    assert found is not None
    limit = found[1].replace("faulthandler_timeout=900", "faulthandler_timeout=5").split()

    status, output = run(tmp_path, *limit, one="def test_it(): ...", other=HANGS_ONCE.format(directory=tmp_path))

    assert status == 1
    assert re.search(r"worker 'gw\d' crashed while running '\S*test_other.py::test_hangs'", output)
    assert output.splitlines()[-1].startswith("1 failed, 3 passed in ")


def test_a_namespace_that_is_left_in_one_of_the_processes_fails_the_run(tmp_path: Path):
    status, output = run(tmp_path, one="def test_it(): ...", other=LEAVES)

    assert status == 1
    assert "FAILED: the tests left: network namespace left" in output


def test_a_file_of_an_installed_appliance_that_is_left_in_one_of_the_processes_fails_the_run(tmp_path: Path):
    elsewhere = tmp_path / "of-an-appliance"
    known = f"import conftest, pathlib\nconftest.OF_AN_APPLIANCE = (pathlib.Path({str(elsewhere)!r}),)\n"
    made = f"def test_it(): pathlib.Path({str(elsewhere)!r}, 'store.key').touch()"
    elsewhere.mkdir()

    status, output = run(tmp_path, one=f"{known}def test_it(): ...", other=f"{known}{made}")

    assert status == 1
    assert f"FAILED: the tests left: {elsewhere}/store.key" in output

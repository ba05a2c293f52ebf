"""A user who is neither root nor in group netboot gets the cure from every command, and never a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]

# Everything is imported first, and once: the user may have no right to the directory in which Python and the tests lie.
AS_NOBODY = """
import gc, importlib, json, os, pkgutil, subprocess, sys
import difflib, encodings.idna, encodings.utf_8_sig, sqlalchemy.dialects.sqlite.aiosqlite
import netboot, netboot.__main__
for module in pkgutil.walk_packages(netboot.__path__, "netboot."):
    importlib.import_module(module.name)
gc.freeze()
config, *commands = sys.argv[1:]
answers = {}
for command in commands:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        sys.argv = ["netboot", "--config", config, *command.split()]
        netboot.__main__.main()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    answers[command] = (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text)
print(json.dumps(answers))
"""
COMMANDS = (
    "check",
    "plan",
    "host list",
    "host show w1",
    "install arm w1",
    "install cancel w1",
    "install show w1",
    "install watch w1 --no-follow",
    "install history w1",
    "reload",
    "content list",
    "content show x",
    "content verify",
    "content remove x",
    "content gc",
    "content promote a b",
    "serve",
)


@pytest.fixture
def config() -> Iterator[Path]:
    """An appliance as the README lays it out, all of it closed to others; pytest's own directories are closed too."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        for below in ("etc", "var/content/media", "var/content/ostree", "run"):
            (directory / below).mkdir(parents=True)
        config = directory / "etc" / "netboot.yaml"
        config.write_text(
            "admin: {socket: ../run/control.sock, listen: 127.0.0.1:8470}\n"
            "content: {directory: ../var/content}\n"
            "records: {directory: ../var/records}\n"
            'store: {url: "sqlite+aiosqlite:///../var/netboot.db"}\n'
        )
        (directory / "etc" / "hosts.yaml").write_text("hosts: {w1: {role: worker, mac: 52:54:00:12:34:56}}\n")
        for closed in ("etc", "var", "run"):
            (directory / closed).chmod(0o750)
        config.chmod(0o640)
        yield config


def as_nobody(config: Path, *commands: str) -> dict[str, tuple[int, str]]:
    """Run commands as a user without rights; give the exit code and the last line on stderr of each."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, config, *commands],
        capture_output=True,
        text=True,
        cwd="/tmp",
        timeout=120,
        check=True,
    )
    assert "Traceback" not in done.stdout
    answers: dict[str, tuple[int, str]] = json.loads(done.stdout)
    return {command: (code, said.splitlines()[-1]) for command, (code, said) in answers.items()}


def test_a_user_who_may_not_read_the_configuration_gets_the_cure(config: Path):
    answers = as_nobody(config, *COMMANDS)

    assert {command: code for command, (code, _) in answers.items()} == dict.fromkeys(COMMANDS, 2)
    assert {said for _, said in answers.values()} == {"1 problem; nothing was changed"}


def test_a_user_who_may_read_only_the_configuration_gets_the_cure(config: Path):
    config.parent.chmod(0o755)
    config.chmod(0o644)
    commands = [command for command in COMMANDS if command != "plan"]  # which reads nothing else

    answers = as_nobody(config, *commands)

    assert {command: said for command, (_, said) in answers.items() if "; run with sudo" not in said} == {}
    assert {command: code for command, (code, _) in answers.items()} == dict.fromkeys(commands, 1)


def test_a_user_who_may_not_open_the_store_gets_the_cure(config: Path):
    config.chmod(0o644)
    for opened in ("etc", "run"):
        (config.parents[1] / opened).chmod(0o755)

    answers = as_nobody(config, "host list", "install arm w1")

    assert {code for code, _ in answers.values()} == {1}
    cure = "netboot.db: Permission denied; run with sudo, or join group netboot"
    assert {command: said for command, (_, said) in answers.items() if not said.endswith(cure)} == {}

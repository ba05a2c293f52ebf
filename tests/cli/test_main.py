"""What a command loads: with libraries that it does not use, each command would take seconds."""

import subprocess
import sys
from pathlib import Path

import pytest
from click import Group

from netboot.cli.main import COMMANDS, cli

HEAVY = {"aiohttp", "asyncpg", "pycdlib", "pyroute2", "scapy", "sqlalchemy", "tftpy"}


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    (tmp_path / "netboot.yaml").write_text(
        f"network: {{interfaces: [lo]}}\nadmin: {{socket: {tmp_path}/control.sock}}\n"
        f"store: {{url: 'sqlite+aiosqlite:///{tmp_path}/store.db'}}\ncontent: {{directory: {tmp_path}}}\n"
    )
    (tmp_path / "hosts.yaml").write_text("hosts: {w1: {role: worker, mac: '52:54:00:aa:bb:01'}}\n")
    return tmp_path / "netboot.yaml"


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom netboot.cli.main import cli\n"
        "try: cli(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_help_and_version_load_no_command():
    for option in ("--help", "--version"):
        assert not loaded_by(option) & {f"netboot.cli.{name}" for name in COMMANDS}


@pytest.mark.parametrize("command", ["check", "plan"])
def test_a_command_on_the_files_loads_no_database_and_no_network_library_but_that_of_interfaces(
    configuration: Path, command: str
):
    assert loaded_by("--config", str(configuration), command) & HEAVY == {"pyroute2"}


def test_without_a_daemon_a_command_on_the_store_loads_no_http_library(configuration: Path):
    assert "aiohttp" not in loaded_by("--config", str(configuration), "host", "list")


def test_the_overview_says_of_each_command_what_its_own_help_says():
    assert isinstance(cli, Group)
    commands = {name: cli.get_command(None, name) for name in COMMANDS}  # type: ignore[arg-type]

    assert {name: command.get_short_help_str(200) for name, command in commands.items() if command} == COMMANDS


def test_a_full_disk_behind_the_output_is_a_sentence(configuration: Path):
    command = [sys.executable, "-m", "netboot", "--config", str(configuration), "host", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "netboot: cannot write the output: No space left on device; free some space"
    )


def test_a_name_in_an_error_cannot_control_the_terminal(configuration: Path, tmp_path: Path):
    named = tmp_path / "ock\x1b[2J\x9b2J.tar"
    named.write_bytes(b"no archive")
    command = [sys.executable, "-m", "netboot", "--config", str(configuration), "content", "import-image", str(named)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    as_json = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr.count("ock\ufffd[2J\ufffd2J.tar")) == (1, 1)
    assert "\\u001b[2J\\u009b2J.tar" in as_json.stdout
    assert not {"\x1b", "\x9b"} & {*done.stdout, *done.stderr, *as_json.stdout, *as_json.stderr}


def test_ctrl_c_while_the_program_loads_ends_it_without_a_traceback():
    code = (
        "import builtins, sys\n"
        "def interrupted(name, *rest, load=builtins.__import__):\n"
        "    if name == 'netboot.cli.main': raise KeyboardInterrupt\n"
        "    return load(name, *rest)\n"
        "from netboot.__main__ import main\n"
        "builtins.__import__ = interrupted\n"
        "main()"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")

"""`--config` before and after every command; the nearest name for an unknown command."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from netboot.cli.main import cli


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, *path, name)


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_every_command_takes_config(path: tuple[str, ...]):
    done = CliRunner().invoke(cli, [*path, "--config", "other.yaml", "--help"])

    assert done.exit_code == 0
    assert "--config FILE" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--config", "other.yaml", "check"], id="before"),
        pytest.param(["check", "--config", "other.yaml"], id="behind"),
        pytest.param(["--config", "first.yaml", "check", "--config=other.yaml"], id="the-one-behind-counts"),
        pytest.param(["content", "--config", "other.yaml", "show", "ol8"], id="behind-a-group"),
        pytest.param(["content", "--config", "first.yaml", "show", "--config", "other.yaml", "ol8"], id="innermost"),
        pytest.param(["install", "arm", "--config", "other.yaml", "cp1"], id="before-the-argument"),
        pytest.param(["install", "arm", "cp1", "--config", "other.yaml"], id="behind-the-argument"),
        pytest.param(["reload", "--config", "other.yaml"], id="reload"),
        pytest.param(["serve", "--config", "other.yaml"], id="serve"),
    ],
)
def test_the_innermost_config_is_the_one_that_is_read(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETBOOT_CONFIG", "environment.yaml")

    done = CliRunner().invoke(cli, arguments)

    assert str(done.exception).startswith("other.yaml: cannot be read")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["instal"], "install"),
        (["chekc"], "check"),
        (["arm", "cp1"], "netboot install arm"),
        (["import-iso"], "netboot content import-iso"),
        (["install", "amr"], "arm"),
        (["host", "lst"], "list"),
        (["content", "importiso"], "import-iso"),
        (["lab", "bot"], "boot"),
    ],
)
def test_the_nearest_command_is_named(arguments: list[str], meant: str):
    done = CliRunner().invoke(cli, arguments, prog_name="netboot")

    assert done.exit_code == 2
    assert done.output.splitlines()[-1].endswith(f"Did you mean '{meant}'?")


def test_a_word_that_is_near_to_nothing_gets_no_advice():
    done = CliRunner().invoke(cli, ["xyzzy"])

    assert (done.exit_code, done.output.splitlines()[-1]) == (2, "Error: No such command 'xyzzy'.")

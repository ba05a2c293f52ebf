"""The groups of the command line: `--config` on every command, and a suggestion for an unknown command."""

from pathlib import Path
from typing import Any

import click

CONFIG_PATH = click.Path(path_type=Path, dir_okay=False)


class Group(click.Group):
    """A group whose commands all take `--config`; the last one counts."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        take_config(self)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, with `--config` among its options."""
        take_config(cmd)
        super().add_command(cmd, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest the nearest one if there is none."""
        name = args[0]
        if not (ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name)):
            near = self.nearest(ctx, name)
            ctx.fail(f"No such command '{name}'." + (f" Did you mean '{near}'?" if near else ""))
        return super().resolve_command(ctx, args)

    def nearest(self, context: click.Context, name: str) -> str | None:
        """Find the command that was probably meant."""
        from netboot.yamlfile.faults import nearest  # needed only for a wrong command

        shown = [each for each in self.list_commands(context) if not getattr(self.commands.get(each), "hidden", False)]
        return nearest(name, shown)


def take_config(command: click.Command) -> None:
    """Add the option `--config` to a command, unless it has it."""
    if any(parameter.name == "config" for parameter in command.params):
        return
    option = click.Option(
        ["--config"], type=CONFIG_PATH, expose_value=False, callback=_use_config, help="As `netboot --config`."
    )
    command.params.append(option)


def _use_config(context: click.Context, _parameter: click.Parameter, config: Path | None) -> None:
    if config is not None:
        context.obj = config

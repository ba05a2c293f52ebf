"""The groups of the command line: `--config` on every command, and a suggestion for an unknown command."""

from pathlib import Path
from typing import Final

import click

CONFIG_PATH = click.Path(path_type=Path, dir_okay=False)


class Group(click.Group):
    """A group whose commands all take `--config`; the last one counts."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command and add `--config` to its options; suggest the nearest one if there is none."""
        name = args[0]
        if not (ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name)):
            near = self.nearest(ctx, name)
            ctx.fail(f"No such command '{name}'." + (f" Did you mean '{near}'?" if near else ""))
        name_found, command, rest = super().resolve_command(ctx, args)
        if command is not None and _CONFIG not in command.params:
            command.params.append(_CONFIG)
        return name_found, command, rest

    def nearest(self, context: click.Context, name: str) -> str | None:
        """Find the command that was probably meant."""
        from netboot.yamlfile.faults import nearest  # needed only for a wrong command

        shown = [each for each in self.list_commands(context) if not getattr(self.commands.get(each), "hidden", False)]
        return nearest(name, shown)


def _use_config(context: click.Context, _parameter: click.Parameter, config: Path | None) -> None:
    if config is not None:
        context.obj = config


_CONFIG: Final = click.Option(
    ["--config"], type=CONFIG_PATH, expose_value=False, callback=_use_config, help="As `netboot --config`."
)

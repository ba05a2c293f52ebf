"""The `netboot` command: its groups, and how an error reaches a person."""

import sys
from pathlib import Path

import click

from netboot import __version__
from netboot.cli.check import check
from netboot.cli.host import host
from netboot.cli.install import install
from netboot.cli.lab import lab
from netboot.cli.plan import plan
from netboot.cli.serve import serve
from netboot.errors import ConfigError, NetbootError
from netboot.servers import logs

DEFAULT_CONFIG = Path("/etc/netboot/netboot.yaml")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar="NETBOOT_CONFIG",
    show_default=True,
    help="The settings; NETBOOT_CONFIG says the same.",
)
@click.version_option(__version__, prog_name="netboot")
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Turn bare-metal servers into Oracle Cloud Native Environment nodes, over the network."""
    context.obj = config
    logs.configure(level="warning", form="auto")  # `serve` sets its own from the settings


for command in (serve, check, plan, host, install, lab):
    cli.add_command(command)


def main() -> None:
    """Run the command line; print an error of ours as one sentence, without a traceback."""
    try:
        cli(prog_name="netboot")
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} problem{'s' if count > 1 else ''}; nothing was changed", file=sys.stderr)
        sys.exit(2)
    except NetbootError as error:
        print(f"netboot: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

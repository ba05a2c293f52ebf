"""The `netboot` command: its groups, and how errors are printed.

A command's module is imported when the command is used, because the daemon's modules take a second to load and most
commands do not need them.
"""

import errno
import os
import signal
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from netboot import __version__
from netboot.cli.groups import CONFIG_PATH, Group
from netboot.cli.views.output import fault_text, print_fault_as_json
from netboot.errors import ConfigError, NetbootError
from netboot.model.words import printable

DEFAULT_CONFIG = Path("/etc/netboot/netboot.yaml")

COMMANDS: Final = {  # each with the short help of its function, whose name it has
    "serve": "Run the daemon: proxyDHCP, TFTP, HTTP, administration.",
    "check": "Check everything before a machine boots.",
    "doctor": "Check this appliance and the LAN: what would stop a boot, and the cure.",
    "plan": "Show what each host would get at its next boot.",
    "explain": "Show where each value of a host comes from, and what it gets now.",
    "simulate": "Play a machine's boot against a live server, and compare both sides.",
    "schema": "Print the JSON Schema of netboot.yaml and hosts.yaml, or the OpenAPI of the API.",
    "reload": "Make the daemon read its files again; print the result.",
    "hooks": "List the web servers and commands that get events, and test them.",
    "appliances": "List the appliances that share the store, what differs between them and this one, and the cure.",
    "ca": "Make a certificate authority (CA), and the certificates of the administration and the registry.",
    "support": "Write what explains the boots of a host into one archive, without secrets.",
    "host": "List, show, add, change, inspect, rescue, remove, import and export the registered machines.",
    "install": "Arm hosts for one install, and follow it.",
    "cluster": "Roll the cluster out in order, show it, and replace the Ignition files of its roles.",
    "power": "Switch machines on and off by their BMCs (Redfish), and let them boot from the network once.",
    "bmc": "Find out what the BMCs of hosts can do, and set their credentials.",
    "user": "Add, change, list and remove the users who may log in.",
    "token": "Make, list and revoke the API tokens of programs.",
    "updates": "Show what each node runs and is offered, and what to type next.",
    "content": "Import and manage boot media, releases and container images.",
    "store": "Back up, restore and verify the store, and change its key.",
    "lab": "Try netboot without hardware: real firmware in QEMU.",
}
_MODULES: Final = {  # the module of each, below netboot.cli.commands
    **{
        name: f"appliance.{name}" for name in ("serve", "check", "doctor", "schema", "reload", "hooks", "support", "ca")
    },
    **{name: f"hosts.{name}" for name in ("plan", "explain", "host", "install")},
    "cluster": "cluster.cluster",
    **{name: f"power.{name}" for name in ("power", "bmc")},
    **{name: f"access.{name}" for name in ("user", "token")},
    "content": "content.content",
    "store": "store.store",
    "appliances": "appliances.appliances",
    "updates": "nodes.updates",
    "simulate": "simulation.simulate",
    "lab": "lab",
}


class _Commands(Group):
    """Finds a command in its module."""

    def invoke(self, context: click.Context) -> object:
        """Run a command; with `--json`, print its fault also as JSON. Ctrl-C ends it without click's `Aborted!`."""
        as_json = "--json" in context.args
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            sys.exit(130)
        except (NetbootError, PermissionError, click.ClickException) as error:
            if as_json:
                print_fault_as_json(error)
            raise

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"netboot.cli.commands.{_MODULES[name]}"), name)
        return command

    def nearest(self, context: click.Context, name: str) -> str | None:
        """Find the command that was probably meant, also in a group: `arm` is `install arm`."""
        for group in map(partial(self.get_command, context), COMMANDS):
            if isinstance(group, click.Group) and name in group.commands:
                return f"{context.command_path} {group.name} {name}"
        return super().nearest(context, name)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing their modules, which would take seconds."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    type=CONFIG_PATH,
    default=DEFAULT_CONFIG,
    envvar="NETBOOT_CONFIG",
    show_default=True,
    help="The settings file; NETBOOT_CONFIG overrides the default. Also accepted after the command; the last counts.",
)
@click.version_option(__version__, prog_name="netboot")
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Turn bare-metal servers into Oracle Cloud Native Environment nodes, over the network."""
    context.obj = config
    if context.invoked_subcommand != "serve":  # a host may have that name: `netboot.__main__` read the arguments
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGINT, signal.SIGTERM})


def main() -> None:
    """Run the command line; print an error of netboot as one sentence, without a traceback."""
    try:
        try:
            cli(prog_name="netboot")
        finally:
            sys.stdout.flush()  # so that a full disk is reported, which the interpreter's end does not do
    except (NetbootError, PermissionError) as error:
        print(printable(fault_text(error)), file=sys.stderr)  # names of files and of images are anybody's
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        place = error.filename or "the output"  # an error of `print` has no file name
        print(f"netboot: cannot write {place}: {error.strerror}; free some space", file=sys.stderr)
        # Because the interpreter flushes again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)

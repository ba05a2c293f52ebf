"""`netboot cluster`: the rollout, the state of the cluster, and the Ignition files of its roles."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from netboot.admin.texts.ages import ago
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.cli.commands.cluster.cluster_rollout import rollout, status
from netboot.cli.commands.daemon_or_store import run_with_administration
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found
from netboot.model.host.role_ignition import RoleUse
from netboot.model.words import printable
from netboot.operate.cluster.role_file_uses import LARGEST_BYTES, TAKEN_USES, IgnitionRequest

REPLACING: Final = "replaced the Ignition file"
_SHORT: Final = 12  # digits of a CA's hash


@click.group(cls=Group)
def cluster() -> None:
    """Roll the cluster out in order, show it, and replace the Ignition files of its roles."""


cluster.add_command(rollout)
cluster.add_command(status)


@cluster.group(cls=Group)
def ignition() -> None:
    """Replace and show the Ignition files that `ocne` printed."""


@ignition.command("set", short_help="Take an Ignition file for a role.")
@click.argument("role", type=click.Choice(TAKEN_USES))
@click.argument("file", type=click.File("rb"))
@click.option(
    "--renewed", is_flag=True, help="The printed commands were run again for this file: its secrets last anew."
)
@click.option("--new-cluster", is_flag=True, help="With init: put the files of another cluster aside.")
@config_and_json
def set_file(config: Path, role: str, file: Any, renewed: bool, new_cluster: bool, as_json: bool) -> None:
    """Take FILE (- for standard input), which `ocne` printed, byte for byte as the Ignition file of ROLE.

    It is verified first: role, cluster, endpoint, virtual IP and interface, against the other files and the hosts. It
    replaces the file that the hosts files name for the role; the previous one stays as NAME.previous. From now on
    its bootstrap token is valid for 24 hours, and a certificate key for 2 hours.

    `ocne` may exit with 1 and have written a whole file: one line of JSON. An empty or cut file, and one that has its
    standard error too, is refused.
    """
    if new_cluster and role != RoleUse.INIT:
        raise click.UsageError("--new-cluster is for init: a cluster begins with the file of its first node")
    content = file.read(LARGEST_BYTES + 1)
    request = IgnitionRequest(RoleUse(role), content, renewed, new_cluster)
    taken = run_with_administration(config, lambda daemon: daemon.set_ignition(request), work=REPLACING)
    print_found(taken, as_json, map(printable, _taken_lines(taken)))


@ignition.command()
@config_and_json
def show(config: Path, as_json: bool) -> None:
    """Show each role's file: role, cluster, endpoint, interface, when it was taken, deadlines, and what is wrong."""
    files = run_with_administration(config, lambda daemon: daemon.ignition_files(), needs_hosts=False)
    print_found(files, as_json, (printable(line) for each in files for line in _lines(each)))


def _taken_lines(taken: Mapping[str, Any]) -> Iterator[str]:
    yield from _lines(taken["file"])
    yield from (f"put aside: {path}, of another cluster" for path in taken["put_aside"])
    if taken["kept"]:
        yield f"the file is in place; the daemon keeps the hosts that it has, because of other faults: {taken['kept']}"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Describe one file, without its secrets."""
    yield f"{found['path']}"
    file, values = found["file"], {"for": ", ".join(found["uses"]) or "its hosts alone"}
    values["hosts"] = ", ".join(found["hosts"]) or "none"
    if file is not None:
        authorities = ", ".join(each[:_SHORT] for each in file["authorities"])
        values |= {
            "is": file["use"] or "not a file of ocne",
            "cluster": f"CA {authorities}" if authorities else "unknown",
            "endpoint": file["endpoint"] or "–",
            "virtual IP": file["virtual_ip"] or "–",
            "interface": file["interface"] or "–",
        }
    if found["taken_at"] is not None:
        values["written" if found["is_estimate"] else "taken"] = ago(found["taken_at"])
    yield from (f"  {label:<12}{text}" for label, text in values.items())
    yield from (f"  {'deadline':<12}{text}" for text in deadline_texts(found["deadlines"]))
    yield from (f"  {'problem':<12}{problem}" for problem in found["problems"])

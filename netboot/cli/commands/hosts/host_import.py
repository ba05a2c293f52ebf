"""`netboot host import`: the inventory of another system as a hosts file."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.cli.views.output import config_and_json, print_found
from netboot.model.host.host import Role
from netboot.registry.importers.format_names import ImportFormat

if TYPE_CHECKING:
    from netboot.registry.allocation import Recorded
    from netboot.registry.importers.imported import Imported
    from netboot.registry.writing.imported_file import ImportedFile

_AUTO: Final = "auto"
_STANDARD_OUTPUT: Final = Path("-")


@click.command(name="import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--format",
    "format_name",
    type=click.Choice([_AUTO, *map(str, ImportFormat)]),
    default=_AUTO,
    show_default=True,
    help="Import only the objects of this format.",
)
@click.option("--role", type=click.Choice(list(map(str, Role))), help="The role of the hosts whose file has none.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=_STANDARD_OUTPUT,
    metavar="FILE",
    help="Write a new file, as hosts.d/rack1.yaml; - is standard output.",
)
@config_and_json
def import_hosts(
    config: Path, files: tuple[Path, ...], format_name: str, role: str | None, out: Path, as_json: bool
) -> None:
    """Print the hosts, cluster and address pools of FILE... as a hosts file; comments list what was not taken over.

    FILE is YAML or JSON: BareMetalHosts of Metal3 or MOSK with their Machines and PublicKeys, as kubectl get -o yaml
    prints them; Provisioning objects of Akraino ICN; or a configuration of ocne for the provider olvm or byo. Secrets
    and BMC credentials are not read. No host is armed.
    """
    from netboot.registry.importers.imported_text import imported_text  # slow to load
    from netboot.registry.inventory_files import read_inventory
    from netboot.registry.writing.imported_file import write_imported

    wanted = None if format_name == _AUTO else ImportFormat(format_name)
    imported = read_inventory(files, wanted=wanted, role=Role(role) if role else None)
    sources = list(map(str, files))
    if out == _STANDARD_OUTPUT:
        print_found(_view(imported), as_json, imported_text(imported, sources).splitlines())
    else:
        written = write_imported(config, out, imported, sources=sources, recorded=partial(_recorded, config))
        print_found(_view(written.imported, written), as_json, _lines(written))


def _recorded(config: Path) -> "Recorded":
    """Read the addresses that hosts have from pools."""
    from netboot.registry.load import load_settings  # slow to load
    from netboot.store.read_only_check import read_allocations

    return asyncio.run(read_allocations(load_settings(config).store.url))


def _view(imported: "Imported", written: "ImportedFile | None" = None) -> dict[str, Any]:
    from netboot.yamlfile.plain_values import plain_value  # slow to load

    hosts = {
        host.name.text: {"file": host.name.place.file, "line": host.name.place.line, "notes": list(host.notes)}
        for host in imported.hosts
    }
    return {
        "document": plain_value(imported.document()),
        "notes": list(imported.notes),
        "hosts": hosts,
        "written": str(written.path) if written else None,
        "is_hosts_file": written.is_read if written else None,
    }


def _lines(written: "ImportedFile") -> list[str]:
    count = len(written.imported.hosts)
    text = f"{written.path} written: {count} host{'' if count == 1 else 's'}"
    notes = sum(len(host.notes) for host in written.imported.hosts) + len(written.imported.notes)
    more = f"; {notes} notes are comments in it" if notes else ""
    cure = "netboot check, then netboot reload" if written.is_read else "it is not one of hosts.files"
    return [f"{text}{more}; {cure}"]

"""`netboot schema`: prints the JSON Schema of the configuration files, by which an editor completes and checks them."""

import click

from netboot.cli.views.output import print_json
from netboot.registry.host_sections import HostsDocument
from netboot.settings.settings import settings_schema
from netboot.yamlfile.sections import editor_schema


@click.command(short_help="Print the JSON Schema of netboot.yaml and hosts.yaml, for editors.")
@click.argument("file", required=False, type=click.Choice(["netboot.yaml", "hosts.yaml"]))
@click.option("--json", is_flag=True, expose_value=False, help="The output is always JSON.")
def schema(file: str | None) -> None:
    """Print the JSON Schema of netboot.yaml or of hosts.yaml, or of both, by their names.

    docs/settings.md shows how an editor uses it.
    """
    schemas = {"netboot.yaml": settings_schema(), "hosts.yaml": editor_schema(HostsDocument)}
    print_json(schemas[file] if file else schemas)

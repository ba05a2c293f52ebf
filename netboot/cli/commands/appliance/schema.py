"""`netboot schema`: prints the JSON Schema of the configuration files, and the OpenAPI description of the API."""

from collections.abc import Mapping
from typing import Any

import click

from netboot.cli.views.output import print_json
from netboot.registry.host_sections import HostsDocument
from netboot.settings.settings import settings_schema
from netboot.yamlfile.sections import editor_schema


@click.command(short_help="Print the JSON Schema of netboot.yaml and hosts.yaml, or the OpenAPI of the API.")
@click.argument("what", required=False, type=click.Choice(["netboot.yaml", "hosts.yaml", "api"]))
@click.option("--json", is_flag=True, expose_value=False, help="The output is always JSON.")
def schema(what: str | None) -> None:
    """Print the JSON Schema of netboot.yaml or of hosts.yaml, or of both, by their names.

    An editor completes and checks the files by it, as docs/settings.md shows. With `api`: the OpenAPI description of
    the API, as the daemon serves it at /api/v1/openapi.json.
    """
    print_json(_api() if what == "api" else _of_files(what))


def _of_files(name: str | None) -> Mapping[str, Any]:
    schemas = {"netboot.yaml": settings_schema(), "hosts.yaml": editor_schema(HostsDocument)}
    return schemas[name] if name else schemas


def _api() -> Mapping[str, Any]:
    from netboot.app.administration.api_description import api_description  # slow to load

    return api_description()

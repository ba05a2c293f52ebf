"""`netboot host export`: all hosts files as one document."""

from pathlib import Path
from typing import Final

import click

from netboot.cli.views.output import config_and_json, print_found

_YAML: Final = "yaml"
_HEAD: Final = "# Exported by netboot. Paths are absolute; comments are not exported."


@click.command(name="export")
@click.argument("names", metavar="[HOST]...", nargs=-1)
@click.option("--format", "format_name", type=click.Choice([_YAML, "json"]), default=_YAML, show_default=True)
@config_and_json
def export_hosts(config: Path, names: tuple[str, ...], format_name: str, as_json: bool) -> None:
    """Print all hosts, or each HOST, with the sections that hosts share, as one document that netboot can read again.

    It is what the files declare now: values are not merged, and a file with a fault is refused. Without the host that
    starts the cluster, cluster.init is left out.
    """
    from netboot.registry.writing.exported_document import exported_document  # slow to load
    from netboot.yamlfile.plain_values import yaml_text

    document = exported_document(config, names)
    text = yaml_text(document) if document else ""
    print_found(document, as_json or format_name != _YAML, [_HEAD, *text.splitlines()])

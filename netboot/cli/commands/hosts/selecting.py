"""Arguments that name hosts or their values: `--role`, `--label KEY=VALUE`, and `KEY=VALUE` of a host's file."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

import click

from netboot.errors import ConfigError
from netboot.model.host.host import Role
from netboot.operate.selection import HostSelection
from netboot.yamlfile.plain_values import PlainValue
from netboot.yamlfile.typed_values import typed_value

_FREE_KEYS: Final = ("labels", "variables")  # a dot belongs to the key below them


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the options --role and --label as `selection`."""

    @click.option("--role", type=click.Choice([role.value for role in Role]), help="The hosts with this role.")
    @click.option(
        "--label", "labels", metavar="KEY=VALUE", multiple=True, help="The hosts with this label; of several, with all."
    )
    @wraps(command)
    def select(*args: Any, role: str | None, labels: Sequence[str], **options: Any) -> None:
        pairs = [text.partition("=") for text in labels]
        if wrong := [text for text, (key, sign, _) in zip(labels, pairs, strict=True) if not (key and sign)]:
            raise click.BadParameter(f"{wrong[0]!r} is not KEY=VALUE", param_hint="--label")
        command(*args, selection=HostSelection(role, {key: text for key, _, text in pairs}), **options)

    return select


def check_selection(hosts: Sequence[str], selection: HostSelection) -> None:
    """Refuse a command that names no host, or that both names and selects hosts."""
    if not hosts and selection.is_all:
        raise click.MissingParameter(param_hint="'HOST...'", param_type="argument")
    if hosts and not selection.is_all:
        raise click.UsageError("name each HOST, or select hosts by --role and --label; not both")


def patch_of(assignments: Sequence[str]) -> dict[str, PlainValue]:
    """Read `KEY=VALUE…` as a merge patch: dotted keys, `KEY=` removes one, a repeated key is a list.

    A VALUE that begins with `[` or `{` is YAML: a list or a table.
    """
    values: dict[tuple[str, ...], list[PlainValue]] = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign or not all(_path(key)):
            raise click.UsageError(f"{text!r} is not KEY=VALUE, as network.address=192.0.2.101/24")
        values.setdefault(_path(key), []).append(value_of(key, value))
    patch: dict[str, PlainValue] = {}
    for path, given in values.items():
        table = patch
        for step in path[:-1]:
            inner = table.setdefault(step, {})
            if not isinstance(inner, dict):
                raise click.UsageError(f"{'.'.join(path)} is in {step}, which is one value here")
            table = inner
        if path[-1] in table:
            raise click.UsageError(f"{'.'.join(path)} is one value and a table of values here")
        table[path[-1]] = given[0] if len(given) == 1 else given
    return patch


def _path(key: str) -> tuple[str, ...]:
    head, dot, rest = key.partition(".")
    return (head, rest) if dot and head in _FREE_KEYS else tuple(key.split("."))


def value_of(key: str, text: str) -> PlainValue:
    """Read one VALUE; None if it is empty."""
    try:
        return typed_value(key, text)
    except ConfigError as error:
        raise click.UsageError(f"{error.problems[0]} (a VALUE that begins with [ or {{ is YAML)") from None

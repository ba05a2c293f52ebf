"""Reads the values of options: a MAC, an address with its network, a rate."""

import re
from ipaddress import IPv4Interface
from typing import Final

import click

from netboot.model.host.mac import Mac

_RATE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kKMG]?)(?:B/s)?")
_UNITS: Final = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_SLOWEST: Final = 1000.0  # bytes a second; a slower machine would not end within an hour


def read_mac(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Mac | None:
    """Read a MAC in any usual spelling; raise BadParameter."""
    try:
        return None if text is None else Mac.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as 52:54:00:aa:bb:01") from error


def read_address(_context: click.Context, _parameter: click.Parameter, text: str | None) -> IPv4Interface | None:
    """Read an address with the length of its prefix; raise BadParameter."""
    if text is None:
        return None
    try:
        found = IPv4Interface(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as 192.0.2.50/24") from error
    if found.network.prefixlen == found.max_prefixlen:
        raise click.BadParameter(f"{text} has no network; write it as {found.ip}/24")
    return found


def read_rate(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """Read bytes per second, as 500k or 10M; raise BadParameter."""
    if text is None:
        return None
    found = _RATE.fullmatch(text.strip())
    rate = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if rate < _SLOWEST:
        raise click.BadParameter(f"{text!r} is no rate of at least 1k, 1000 bytes a second; write it as 500k or 10M")
    return rate

"""What an iPXE reports of its machine: query parameters of its next request for the script that waits. Pure.

Unverified: a machine may report anything. Used for nothing but to be shown. Measured with iPXE 1.0.0+git-20190125: an
unset setting is empty, and a `&` in a value is sent as it is, so that the value ends there.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from netboot.model.install.token import without_any_token
from netboot.model.words import printable_line

LONGEST_FACT: Final = 64  # characters
_MOST_PARAMETERS: Final = 32
# That iPXE extends the sign of a byte above 7F: `%FFFFFFFFFFFFC3` is `%C3`.
_EXTENDED_SIGN: Final = re.compile(r"%F{6,16}([89A-F][0-9A-F])")


class MachineFact(StrEnum):
    """The name of a query parameter, and of what is kept."""

    MANUFACTURER = "manufacturer"
    PRODUCT = "product"
    SERIAL = "serial"
    UUID = "uuid"
    ASSET = "asset"  # asset tag of the chassis
    IPXE = "ipxe"  # its version
    BUILDARCH = "buildarch"
    PLATFORM = "platform"  # efi or pcbios
    SWITCH = "switch"  # LLDP: system name, port id and port description
    SWITCH_PORT = "switch_port"
    SWITCH_PORT_NAME = "switch_port_name"


# The iPXE setting of each fact, as a query parameter. LLDP (iPXE of 2023 and later): type, index, offset, length.
_SETTINGS: Final[Mapping[MachineFact, str]] = {
    MachineFact.MANUFACTURER: "manufacturer:uristring",
    MachineFact.PRODUCT: "product:uristring",
    MachineFact.SERIAL: "serial:uristring",
    MachineFact.UUID: "uuid",
    MachineFact.ASSET: "asset:uristring",
    MachineFact.IPXE: "version:uristring",
    MachineFact.BUILDARCH: "buildarch:uristring",
    MachineFact.PLATFORM: "platform:uristring",
    MachineFact.SWITCH: "netX.lldp/5.0.0.0:uristring",
    MachineFact.SWITCH_PORT: "netX.lldp/2.0.1.0:uristring",
    MachineFact.SWITCH_PORT_NAME: "netX.lldp/4.0.0.0:uristring",
}
IPXE_QUERY: Final = "&".join(f"{fact}=${{{setting}}}" for fact, setting in _SETTINGS.items())  # for a script of iPXE

_BY_NAME: Final = {fact.value: fact for fact in MachineFact}

Facts = Mapping[MachineFact, str]
NO_FACTS: Final[Facts] = {}


def facts_in(query: str) -> Facts:
    """Read what a machine reports in the query of a URL, as it was sent; never fails.

    The first parameter of each name counts. Each value is one line of at most `LONGEST_FACT` ASCII characters, without
    what can be a token of an install.
    """
    found: dict[MachineFact, str] = {}
    for parameter in query.split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]:
        name, _, value = parameter.partition("=")
        fact = _BY_NAME.get(name)
        text = unquote(_EXTENDED_SIGN.sub(r"%\1", value[: 12 * LONGEST_FACT])).strip()
        if fact is not None and fact not in found and text:
            found[fact] = without_any_token(printable_line(text, longest=LONGEST_FACT))
    return found

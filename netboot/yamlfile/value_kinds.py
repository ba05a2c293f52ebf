"""Reads single values of settings and hosts; each kind has its JSON Schema and its name in the documentation.

A reader gets a scalar that is not empty, and returns the value or raises `refuse(what, cure)`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from netboot.model.access import secret_file
from netboot.yamlfile.faults import beside, did_you_mean, shown
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import refuse

_BROADCAST: Final = IPv4Address("255.255.255.255")
INTERFACE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,14}")  # IFNAMSIZ without its zero byte
# Below a directory: no `..`, no leading slash, nothing that a packet or URL would change.
_LOADER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # becomes part of paths and URLs
DOMAIN_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity, as a part of a type must be
class ValueKind:
    """The annotation of a single value: `Annotated[int, ValueKind(read, "port, 1–65535", {"type": "integer"})]`."""

    read: Callable[[Scalar], object]
    name: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    empty: object = ...  # what an empty value means; `...`: it is refused

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read_value)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: object) -> dict[str, Any]:
        return {"title": self.name, **self.schema}

    def _read_value(self, value: Any) -> object:
        if not isinstance(value, Scalar):
            raise refuse("must be one value", "write a single word, number or path")
        if value.is_null or not value.text:
            if self.empty is not ...:
                return self.empty
            raise refuse("is empty", "write a value or remove the key")
        return self.read(value)


def text_of(pattern: re.Pattern[str], name: str, *, cure: str, longest: int = 255) -> ValueKind:
    """Make the kind of the texts that match a pattern as a whole."""

    def read(scalar: Scalar) -> str:
        if len(scalar.text) > longest or not pattern.fullmatch(scalar.text):
            raise refuse(f"{shown(scalar.text)} is not a {name}", cure)
        return scalar.text

    return ValueKind(read, name, {**matching(pattern), "type": ["string", "number"]})  # 1.30 without quotes


def matching(pattern: re.Pattern[str]) -> Schema:
    """Return the JSON Schema of the texts that match a pattern as a whole."""
    return {"type": "string", "pattern": f"^({pattern.pattern})$"}


def whole_number(lowest: int, highest: int, name: str) -> ValueKind:
    """Make the kind of the whole numbers between two bounds."""

    def read(scalar: Scalar) -> int:
        value = scalar.as_integer()
        if value is None:
            raise refuse(f"{shown(scalar.text)} is not a whole number", f"write one from {lowest} to {highest}")
        if not lowest <= value <= highest:
            raise refuse(f"{value} is out of range", f"write a whole number from {lowest} to {highest}")
        return value

    return ValueKind(read, name, {"type": "integer", "minimum": lowest, "maximum": highest})


def choice(values: type[StrEnum], noun: str | None = None) -> ValueKind:
    """Make the kind of an enumeration; a message that has `noun` names the nearest value, else all of them."""
    *others, last = values
    listed = f"{', '.join(others)} or {last}"

    def read(scalar: Scalar) -> StrEnum:
        if scalar.text in list(values):
            return values(scalar.text)
        if noun is None:
            raise refuse(f"{shown(scalar.text)} is none of its values", f"use {listed}")
        raise refuse(f"no such {noun} {shown(scalar.text)}", did_you_mean(scalar.text, values))

    return ValueKind(read, listed, {"enum": [str(value) for value in values]})


def _flag(scalar: Scalar) -> bool:
    value = scalar.as_boolean()
    if value is None:
        raise refuse(f"{shown(scalar.text)} is neither true nor false", "write true or false")
    return value


def _path(scalar: Scalar) -> Path:
    if scalar.text.startswith(secret_file.PREFIX):
        raise refuse("only a setting of a file with a secret may be a credential", "write the path of a file")
    return beside(Path(scalar.text), scalar.place.file)


def _secret_path(scalar: Scalar) -> Path:
    if not scalar.text.startswith(secret_file.PREFIX):
        return beside(Path(scalar.text), scalar.place.file)
    name = scalar.text.removeprefix(secret_file.PREFIX)
    if not secret_file.is_credential_name(name):
        cure = f"write it as {secret_file.PREFIX}NAME, with the name that LoadCredential= of the unit has"
        raise refuse(f"{shown(name)} is not a name of a credential", cure)
    return secret_file.credential_path(name)


def _address(scalar: Scalar) -> IPv4Address:
    try:
        address = IPv4Address(scalar.text)
    except ValueError:
        what = f"{shown(scalar.text)} is not an IPv4 address"
        raise refuse(what, "write one, as 192.0.2.1") from None
    if address.is_multicast or address == _BROADCAST:
        raise _not_reachable(address)
    return address


def read_machine_address(scalar: Scalar) -> IPv4Address:
    address = _address(scalar)
    if address.is_unspecified or address.is_loopback:
        raise _not_reachable(address)
    return address


def _not_reachable(address: IPv4Address) -> PydanticCustomError:
    return refuse(f"{address} is not an address that machines can reach", "write a unicast address, as 192.0.2.1")


_IPV4: Final[Schema] = {"type": "string", "format": "ipv4"}

Flag = Annotated[bool, ValueKind(_flag, "true or false", {"type": "boolean"})]
FilePath = Annotated[Path, ValueKind(_path, "path")]  # relative to the file that contains it
SecretFile = Annotated[Path, ValueKind(_secret_path, "path, or credential:NAME")]
Address = Annotated[IPv4Address, ValueKind(_address, "IPv4 address", _IPV4)]
MachineAddress = Annotated[IPv4Address, ValueKind(read_machine_address, "IPv4 address", _IPV4)]
_INTERFACE_CURE: Final = "write one of at most 15 characters, as enp1s0; `ip link` shows those of this computer"
InterfaceName = Annotated[str, text_of(INTERFACE_NAME, "name of an interface", cure=_INTERFACE_CURE)]
Domain = Annotated[str, text_of(DOMAIN_NAME, "name of a domain", cure="write it as rack.example.org", longest=253)]
_LOADER_CURE: Final = "write one below bootfiles.directories, as snponly.efi or grub/grubx64.efi"
LoaderName = Annotated[str, text_of(_LOADER, "name of a boot file", cure=_LOADER_CURE)]
Name = Annotated[str, text_of(_NAME, "name", cure="use letters, digits, dots, hyphens and underscores, 64 at most")]
NAME_PATTERN: Final[str] = matching(_NAME)["pattern"]

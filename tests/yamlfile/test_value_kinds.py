"""Each kind of value, read from a scalar of a file: the value, or what is wrong and what to do."""

from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from netboot.yamlfile.faults import Place
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.value_kinds import (
    Address,
    Domain,
    FilePath,
    Flag,
    InterfaceName,
    LoaderName,
    MachineAddress,
    choice,
    whole_number,
)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


AnyColour = Annotated[Colour, choice(Colour)]
NamedColour = Annotated[Colour, choice(Colour, "colour")]
Percent = Annotated[int, whole_number(0, 100, "percentage")]


def read(kind: Any, text: str, *, plain: bool = True) -> object:
    return TypeAdapter(kind).validate_python(Scalar(Place("etc/f.yaml", 1, 1), text, plain))


def refused(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    [error] = caught.value.errors()
    return f"{error['ctx']['what']}; {error['ctx']['cure']}"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Flag, "true", True),
        (Flag, "False", False),
        (Percent, "0", 0),
        (Percent, "0x64", 100),
        (FilePath, "/srv/x", Path("/srv/x")),
        (FilePath, "x/y", Path.cwd() / "etc/x/y"),
        (Address, "127.0.0.1", IPv4Address("127.0.0.1")),
        (Address, "0.0.0.0", IPv4Address("0.0.0.0")),
        (MachineAddress, "192.0.2.1", IPv4Address("192.0.2.1")),
        (InterfaceName, "enp1s0.100", "enp1s0.100"),
        (Domain, "rack.example.org", "rack.example.org"),
        (LoaderName, "grub/grubx64.efi", "grub/grubx64.efi"),
        (AnyColour, "green", Colour.GREEN),
        (NamedColour, "blue", Colour.BLUE),
    ],
)
def test_a_value_is_read_as_its_type(kind: Any, text: str, value: object):
    assert read(kind, text) == value


ONE_VALUE = "must be one value; write a single word, number or path"
EMPTY = "is empty; write a value or remove the key"
UNREACHABLE = "is not an address that machines can reach; write a unicast address, as 192.0.2.1"
NO_LOADER = "is not a name of a boot file; write one below bootfiles.directories, as snponly.efi or grub/grubx64.efi"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Flag, "yes", "'yes' is neither true nor false; write true or false"),
        (Percent, "101", "101 is out of range; write a whole number from 0 to 100"),
        (Percent, "1.5", "'1.5' is not a whole number; write one from 0 to 100"),
        (FilePath, "", EMPTY),
        (FilePath, "null", EMPTY),
        (Address, "fd00::1", "'fd00::1' is not an IPv4 address; write one, as 192.0.2.1"),
        (Address, "239.1.1.1", f"239.1.1.1 {UNREACHABLE}"),
        (Address, "255.255.255.255", f"255.255.255.255 {UNREACHABLE}"),
        (MachineAddress, "0.0.0.0", f"0.0.0.0 {UNREACHABLE}"),
        (MachineAddress, "127.0.0.1", f"127.0.0.1 {UNREACHABLE}"),
        (Domain, "a..b", "'a..b' is not a name of a domain; write it as rack.example.org"),
        (LoaderName, "../x", f"'../x' {NO_LOADER}"),
        (AnyColour, "gren", "'gren' is none of its values; use red, green or blue"),
        (NamedColour, "gren", "no such colour 'gren'; did you mean green?"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(kind: Any, text: str, expected: str):
    assert refused(kind, Scalar(Place("f.yaml"), text)) == expected


def test_a_domain_has_253_characters_at_most():
    name = ".".join(["a" * 50] * 5)

    assert read(Domain, name[:253]) == name[:253]
    assert "is not a name of a domain" in refused(Domain, Scalar(Place("f.yaml"), name))


def test_quoted_text_is_no_number_and_no_flag():
    assert refused(Percent, Scalar(Place("f.yaml"), "7", plain=False)) == (
        "'7' is not a whole number; write one from 0 to 100"
    )
    assert refused(Flag, Scalar(Place("f.yaml"), "true", plain=False)) == (
        "'true' is neither true nor false; write true or false"
    )


@pytest.mark.parametrize("value", [[], {}, ["a"]])
def test_a_list_or_a_table_is_not_one_value(value: object):
    assert refused(InterfaceName, value) == ONE_VALUE

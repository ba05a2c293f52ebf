"""A model of one's own, read from text: values with their types, or every fault with its place, object and cure."""

from collections.abc import Mapping
from typing import Annotated, Self

import pytest
from pydantic import Field, PlainValidator, model_validator

from netboot.errors import Problem
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Node, Scalar, Table
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import Section, read_section, refuse
from netboot.yamlfile.value_kinds import Flag, InterfaceName, whole_number

Number = Annotated[int, whole_number(1, 99, "number")]


class Card(Section):
    name: InterfaceName = Field(examples=["eno1"])
    slot: Number | None = None

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"name": value}


class Power(Section):
    least: Number = 1
    most: Number = 9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise refuse(f"{self.most} is below power.least", "write the larger one here", key="most")
        return self

    @classmethod
    def refusal_of_key(cls, name: str, _value: Node | None) -> tuple[str, str]:
        return f"{name} is not a key of power", "remove it"


class Slot(str):
    """A name of a server, which cannot be `none`."""


def slot(name: str) -> Slot:
    if name == "none":
        raise refuse("names no server", "give it a name of its own")
    return Slot(name)


class Server(Section):
    cards: tuple[Card, ...] = ()
    is_on: Flag = False


class Rack(Section):
    power: Power = Power()
    servers: Mapping[Annotated[Slot, PlainValidator(slot)], Annotated[Server, Field(description="one")]] = {}


def read(text: str) -> tuple[Rack, list[str]]:
    faults = Faults()
    tree = parse(text, "rack.yaml", faults)
    assert isinstance(tree, Table)
    rack = read_section(Rack, tree, faults)
    assert all(isinstance(problem, Problem) for problem in faults.problems)
    return rack, [str(problem).removeprefix("rack.yaml:") for problem in sorted(faults.problems)]


def test_values_have_their_types_and_missing_ones_their_defaults():
    rack, faults = read("power: {most: 0x10}\nservers: {a: {cards: [eno1, {name: eno2, slot: 3}]}, b: }\n")

    assert faults == []
    assert rack.model_dump() == {
        "power": {"least": 1, "most": 16},
        "servers": {
            "a": {"cards": ({"name": "eno1", "slot": None}, {"name": "eno2", "slot": 3}), "is_on": False},
            "b": {"cards": (), "is_on": False},
        },
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("servers: {a: {is_off: true}}", ["1:15: servers.a.is_off: no such key; did you mean is_on?"]),
        ("power: {x: 1}", ["1:9: power.x: x is not a key of power; remove it"]),
        (
            "servers: {none: {is_on: x}}",
            [
                "1:11: servers.none: names no server; give it a name of its own",
                "1:25: servers.none.is_on: 'x' is neither true nor false; write true or false",
            ],
        ),
        ("power: [1]", ["1:8: power: must be a table of keys; write `key: value` pairs below it"]),
        ("power: 3", ["1:8: power: must be a table of keys; write `key: value` pairs below it"]),
        ("servers: x", ["1:10: servers: must be a table of keys; write `key: value` pairs below it"]),
        (
            "servers: {a: {cards: eno1}}",
            ["1:22: servers.a.cards: must be a list; write it in brackets: [first, second]"],
        ),
        ("servers: {a: {cards: }}", ["1:21: servers.a.cards: is empty; write a list or remove the key"]),
        ("servers: {a: {cards: [{slot: 3}]}}", ["1:23: servers.a.cards[0].name: is missing; write it, as name: eno1"]),
        ("servers: {a: {cards: [{nam: x}]}}", ["1:24: servers.a.cards[0].nam: no such key; did you mean name?"]),
        ("power: {least: [1]}", ["1:16: power.least: must be one value; write a single word, number or path"]),
        ("power: {least: ''}", ["1:16: power.least: is empty; write a value or remove the key"]),
        ("power: {least: 12}", ["1:8: power.most: 9 is below power.least; write the larger one here"]),
        ("power: {least: 3, most: 2}", ["1:25: power.most: 2 is below power.least; write the larger one here"]),
        (
            "servers: {a: {cards: [a b]}}",
            [
                "1:23: servers.a.cards[0]: 'a b' is not a name of an interface; "
                "write one of at most 15 characters, as enp1s0; `ip link` shows those of this computer"
            ],
        ),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_its_object_and_its_cure(text: str, expected: list[str]):
    assert read(f"{text}\n")[1] == expected


def test_every_fault_is_reported_once_and_all_other_values_are_read():
    rack, faults = read(
        """\
power: {least: x, most: 7, none: 1}
servers:
  a: {is_on: yes, cards: [eno1, {name: eno2, slot: 300}, 'a/b']}
  b: {is_on: true}
"""
    )

    assert [fault.partition("; ")[0] for fault in faults] == [
        "1:16: power.least: 'x' is not a whole number",
        "1:28: power.none: none is not a key of power",
        "3:14: servers.a.is_on: 'yes' is neither true nor false",
        "3:52: servers.a.cards[1].slot: 300 is out of range",
        "3:58: servers.a.cards[2]: 'a/b' is not a name of an interface",
    ]
    assert rack.model_dump() == {
        "power": {"least": 1, "most": 7},
        "servers": {"a": {"cards": (), "is_on": False}, "b": {"cards": (), "is_on": True}},
    }


def test_a_fault_of_two_values_together_is_found_beside_a_fault_of_one():
    _, faults = read("power: {least: 8, most: 7}\nservers: {a: {is_on: x}}\n")

    assert [fault.partition("; ")[0] for fault in faults] == [
        "1:25: power.most: 7 is below power.least",
        "2:22: servers.a.is_on: 'x' is neither true nor false",
    ]

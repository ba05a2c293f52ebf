"""The JSON Schema of a model of one's own, as an editor gets it."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import Section, editor_schema
from netboot.yamlfile.value_kinds import FilePath, Flag, InterfaceName, choice, whole_number


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Card(Section):
    """A card."""

    name: InterfaceName = Field(examples=["eno1"])

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"name": value}


class Server(Section):
    """A server."""

    is_on: Flag = Field(default=True, description="Whether it is on.")
    slots: Annotated[int, whole_number(1, 9, "number")] = 4
    size: Annotated[Size, choice(Size)] = Size.SMALL
    files: tuple[FilePath, ...] = (Path("/a"), Path("b"))
    cards: tuple[Card, ...] | None = Field(default=None, description="Its cards.")


class Racks(Section):
    racks: Mapping[str, Server] = Field(default={}, description="By name.")
    spare: Server = Field(default=Server(), description="For all.")


def test_a_schema_has_types_bounds_descriptions_and_defaults_as_a_file_has_them():
    assert editor_schema(Racks) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "racks": {
                "type": "object",
                "description": "By name.",
                "additionalProperties": {"$ref": "#/$defs/Server"},
            },
            "spare": {"$ref": "#/$defs/Server", "description": "For all."},
        },
        "$defs": {
            "Card": {
                "description": "A card.",
                "type": ["object", "null", "string"],
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {
                        "type": ["string", "number"],
                        "title": "name of an interface",
                        "pattern": "^([A-Za-z0-9_][A-Za-z0-9._-]{0,14})$",
                        "examples": ["eno1"],
                    },
                },
            },
            "Server": {
                "description": "A server.",
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": {
                    "is_on": {
                        "type": "boolean",
                        "title": "true or false",
                        "default": True,
                        "description": "Whether it is on.",
                    },
                    "slots": {"type": "integer", "title": "number", "minimum": 1, "maximum": 9, "default": 4},
                    "size": {"enum": ["small", "large"], "title": "small or large", "default": "small"},
                    "files": {
                        "type": "array",
                        "items": {"type": "string", "title": "path"},
                        "default": ["/a", "b"],
                    },
                    "cards": {
                        "type": "array",
                        "items": {"$ref": "#/$defs/Card"},
                        "description": "Its cards.",
                    },
                },
            },
        },
    }

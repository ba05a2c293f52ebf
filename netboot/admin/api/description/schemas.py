"""The JSON Schemas of the types of the API, with the definitions that they share."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from netboot.admin.api.description.written_types import written_as

_DEFINITIONS: Final = "#/components/schemas/"


Mode = Literal["validation", "serialization"]  # of what is read, of what is written


class _WithoutTitles(GenerateJsonSchema):
    """The title of a field would be its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class calls it
        return False


def _described(found: Any, mode: Mode) -> Any:
    return found if mode == "validation" else written_as(found)


class Schemas:
    """The schemas of several types, by the name of their use."""

    def __init__(self, types: Sequence[tuple[str, Mode, Any]]) -> None:
        inputs = [(name, mode, TypeAdapter(_described(found, mode))) for name, mode, found in types]
        template = _DEFINITIONS + "{model}"
        found, shared = TypeAdapter.json_schemas(inputs, ref_template=template, schema_generator=_WithoutTitles)
        self._schemas = {name: schema for (name, _mode), schema in found.items()}
        self.definitions: dict[str, Any] = shared.get("$defs", {})

    def __getitem__(self, use: str) -> dict[str, Any]:
        """Return the schema of a use, or a reference to it."""
        return self._schemas[use]

    def resolved(self, use: str) -> dict[str, Any]:
        """Return the schema itself, not a reference to it."""
        schema = self._schemas[use]
        reference = schema.get("$ref")
        return self.definitions[reference.removeprefix(_DEFINITIONS)] if reference else schema

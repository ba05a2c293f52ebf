"""The JSON Schema of a configuration file, by which an editor completes and checks it (draft 2020-12).

It accepts what the reader accepts; the reader also refuses values that no schema can describe.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from netboot.yamlfile.sections import Section


class _EditorSchema(GenerateJsonSchema):
    """Without null for a missing key, with defaults as a file has them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner, default = self.generate_inner(schema["schema"]), schema.get("default")
        return (
            inner
            if default is None or isinstance(default, Section | dict)
            else {**inner, "default": _as_written(default)}
        )

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False


def editor_schema(model: type[Section]) -> dict[str, Any]:
    """Return the JSON Schema of the file that a model reads."""
    return {"$schema": _EditorSchema.schema_dialect, **model.model_json_schema(schema_generator=_EditorSchema)}


def _as_written(default: object) -> object:
    match default:
        case tuple():
            return [*map(_as_written, default)]
        case bool() | int():
            return default
        case _:
            return str(default)

"""Reads a YAML tree by Pydantic models, and gives each refused value its place, its object and its cure.

A model names and types the keys of a table; `value_kinds` reads single values. Only this module handles Pydantic's
errors. `editor_schema` is the same for an editor (JSON Schema, draft 2020-12): it accepts what the reader accepts; the
reader also refuses values that no schema can describe.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from netboot.yamlfile.faults import Faults, Place, did_you_mean, nearest
from netboot.yamlfile.nodes import KeyPath, Listing, Node, Scalar, Table, dotted, find, find_nearest, written_path

S = TypeVar("S", bound="Section")

TABLE_EXPECTED: Final = ("must be a table of keys", "write `key: value` pairs below it")
_OF_A_KEY: Final = "[key]"  # Pydantic's last step of the path to a key


class Section(BaseModel):
    """A table with known keys; an empty value, as in `http:`, is an empty table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    noun: ClassVar[str] = "key"
    is_whole: ClassVar[bool] = False  # replaced as a whole by the section of a layer above
    # Of the one value that stands for a table, for the JSON Schema.
    text_pattern: ClassVar[str | None] = None
    text_types: ClassVar[Sequence[str]] = ("string",)

    @model_validator(mode="before")
    @classmethod
    def _as_table(cls, value: Any) -> Any:
        match value:
            case Scalar(is_null=True):
                return {}
            case Scalar():
                return cls.table_of(value)
            case _:
                return value

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        """Return the table for which one value is an abbreviation; the value itself if there is none."""
        return value

    def as_text(self) -> str | None:
        """Return the one value that stands for this table; None if there is none."""
        return None

    @classmethod
    def refusal_of_key(cls, name: str, _value: Node | None) -> tuple[str, str]:
        """Return what is wrong with an unknown key, and the cure."""
        return f"no such {cls.noun}", did_you_mean(name, cls.key_names())

    @classmethod
    def key_names(cls) -> Sequence[str]:
        """List the keys, for messages: without the `+NAME` of a list."""
        return [name for name, field in cls.model_fields.items() if field.alias is None]

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        table = handler.resolve_ref_schema(handler(core))
        table.pop("title", None)  # the class name
        table["type"] = ["object", "null", *(cls.text_types if "table_of" in vars(cls) else ())]
        if cls.text_pattern is not None:
            table["pattern"] = cls.text_pattern
        return table


def described(default: Any, description: str, *, title: str | None = None, alias: str | None = None) -> Any:
    """Declare a key that may be missing: with its default, and with its description in the JSON Schema.

    `alias` is the key as the file has it, if it cannot be the name of a field.
    """
    return Field(default=default, description=description, title=title, alias=alias)


def refuse(what: str, cure: str, *, key: str | None = None) -> PydanticCustomError:
    """Make a validator's error from the two parts of a message; `key` is the one that a section's error concerns."""
    return PydanticCustomError("netboot", "{what}", {"what": what, "cure": cure, "key": key})


def read_section(model: type[S], tree: Table, faults: Faults) -> S:
    """Return the values of a tree; a key with a fault has its default. Every key of `model` has a default."""
    data: dict[str, Any] = _bare(tree)
    reported: set[KeyPath] = set()  # one value can stand for several keys, and one that was refused is not missing too
    while True:  # a fault of one value hides that of two together, so what is left of `data` is read again
        try:
            return model.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
        _report(details, model, tree, reported=reported, faults=faults)
        for keys in [_written(data, _path_of(detail, tree)) for detail in details]:
            _remove(data, keys)


def _bare(node: Node) -> Any:
    match node:
        case Table():
            return {name: _bare(entry.value) for name, entry in node.entries.items()}
        case Listing():
            return [_bare(item) for item in node.items]
        case Scalar():
            return node


def _report(
    details: Sequence[ErrorDetails], model: type[Section], tree: Table, *, reported: set[KeyPath], faults: Faults
) -> None:
    meant = set()  # the keys that unknown keys stand for are not missing as well
    for path in (detail["loc"] for detail in details if detail["type"] == "extra_forbidden"):
        section, name = _section_at(model, path[:-1]), str(path[-1])
        what, cure = section.refusal_of_key(name, find(tree, path))
        faults.add(_place_of_key(path, tree), dotted(path), what=what, cure=cure)
        meant.add((*path[:-1], nearest(name, section.key_names())))
    for detail in details:
        path = _path_of(detail, tree)
        if detail["type"] == "extra_forbidden" or path in meant | reported:
            continue
        reported.add(path)
        what, cure = _words(detail, model)
        is_key = detail["loc"][-1:] == (_OF_A_KEY,)
        place = _place_of_key(path, tree) if is_key else find_nearest(tree, path).place
        faults.add(place, dotted(path), what=what, cure=cure)


def _place_of_key(path: KeyPath, tree: Table) -> Place:
    holder = find(tree, path[:-1])
    assert isinstance(holder, Table)
    return holder.entries[str(path[-1])].key.place


def _path_of(detail: ErrorDetails, tree: Table) -> KeyPath:
    """Return the path of the value or key that was refused, as far as the file has it."""
    path = detail["loc"]
    key = detail.get("ctx", {}).get("key")
    return written_path(tree, path[:-1] if path[-1:] == (_OF_A_KEY,) else (*path, key) if key else path)


def _words(detail: ErrorDetails, model: type[Section]) -> tuple[str, str]:
    given, path = detail["input"], detail["loc"]
    match detail["type"]:
        case "netboot":
            return str(detail["ctx"]["what"]), str(detail["ctx"]["cure"])
        case "missing":
            examples = _section_at(model, path[:-1]).model_fields[str(path[-1])].examples or ()
            return "is missing", f"write it, as {', '.join(f'{path[-1]}: {example}' for example in examples)}"
        case "tuple_type" if isinstance(given, Scalar) and given.is_null:
            return "is empty", "write a list or remove the key"
        case "tuple_type":
            return "must be a list", "write it in brackets: [first, second]"
        case _:  # model_type and dict_type
            return TABLE_EXPECTED


def _section_at(kind: Any, path: KeyPath) -> type[Section]:
    """Return the model of the table at a path below `kind`: a section, or a type that holds sections."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section_at(kind.model_fields[str(path[0])].annotation, path[1:]) if path else kind
    inner = get_args(kind)
    match get_origin(kind):
        case origin if origin is Mapping:
            return _section_at(inner[1], path[1:])
        case origin if origin is tuple:
            return _section_at(inner[0], path[1:])
        case _:  # Annotated
            return _section_at(inner[0], path)


def _written(data: object, path: KeyPath) -> list[str]:
    """Return the keys that lead to a refused value; to the whole list of an item, or to the table that lacks it."""
    keys = []
    for step in path:
        if not isinstance(data, dict) or step not in data:
            break
        data = data[step]
        keys.append(str(step))
    return keys


def _remove(data: dict[str, Any], keys: Sequence[str]) -> None:
    for key in keys[:-1]:
        data = data.get(key, {})
    data.pop(keys[-1], None)


class _EditorSchema(GenerateJsonSchema):
    """Without null for a missing key, with defaults as a file has them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner, default = self.generate_inner(schema["schema"]), schema.get("default")
        if default is None or isinstance(default, Section | dict):
            return inner
        return {**inner, "default": json.loads(json.dumps(default, default=str))}

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False


def editor_schema(model: type[Section]) -> dict[str, Any]:
    """Return the JSON Schema of the file that a model reads."""
    return {"$schema": _EditorSchema.schema_dialect, **model.model_json_schema(schema_generator=_EditorSchema)}

"""Reads the query and the body of a request as typed models; a fault is one sentence that names its field.

A key that a model does not have is refused: a misspelt `dry_run` must not change anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from netboot.admin.api.request_body import body_of


class RequestModel(BaseModel):
    """What a request has in its query or body. The description of a field is what it is: `attempts is …`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class FaultSentence:
    """What is answered if a field is wrong, where `NAME is DESCRIPTION` does not fit; `absent`: if it is missing."""

    wrong: str
    absent: str | None = None


Model = TypeVar("Model", bound=RequestModel)


def read_query(request: web.Request, model: type[Model]) -> Model:
    """Read the query of a request; raise HTTPBadRequest."""
    given: dict[str, Any] = {}
    for key in request.query:
        found, field = request.query.getall(key), model.model_fields.get(key)
        if field is not None and get_origin(field.annotation) is list:
            given[key] = found
        elif len(found) > 1:
            raise web.HTTPBadRequest(text=f"{key} is given {len(found)} times; once is possible")
        else:
            given[key] = found[0]
    return _read(model, given, is_strict=False)


async def read_body(request: web.Request, model: type[Model]) -> Model:
    """Read the JSON object in the body of a request, which may be absent; raise HTTPBadRequest."""
    return _read(model, await body_of(request), is_strict=True)


def _read(model: type[Model], given: Mapping[str, Any], *, is_strict: bool) -> Model:
    try:
        return model.model_validate(given, strict=is_strict)
    except ValidationError as error:
        raise web.HTTPBadRequest(text=_sentence(model, error)) from None


def _sentence(model: type[RequestModel], error: ValidationError) -> str:
    """Write the first fault; an unknown key comes before any other."""
    faults = error.errors(include_url=False, include_input=False)
    unknown = sorted(str(each["loc"][0]) for each in faults if each["type"] == "extra_forbidden")
    if unknown:
        return f"no such key {unknown[0]}; known here: {', '.join(model.model_fields) or 'none'}"
    fault = faults[0]
    if not fault["loc"]:  # of several fields
        return str(fault["msg"])
    name = str(fault["loc"][0])
    field = model.model_fields[name]
    sentence = next((each for each in field.metadata if isinstance(each, FaultSentence)), None)
    if sentence is not None:
        is_absent = fault["type"] in ("missing", "too_short", "string_too_short")
        return sentence.absent if is_absent and sentence.absent else sentence.wrong
    return f"{name} is {field.description}" if field.description else f"{name}: {fault['msg']}"

"""Makes the OpenAPI 3.1 description of the API from the router: each handler that is marked as an operation."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from netboot import __version__, errors
from netboot.admin.access.browser_login import SESSION_COOKIE
from netboot.admin.api.description.schemas import Mode, Schemas
from netboot.admin.api.operation import EVENTS, JSON, Operation, operation_of
from netboot.admin.api.problems import PROBLEM_JSON, PROBLEMS_MEMBER, ProblemView, problem_title, statuses_of
from netboot.errors import NetbootError
from netboot.operate.cluster.role_file_uses import TAKEN_USES

View = dict[str, Any]
Route = tuple[str, str, Operation]  # method, path, what it does

_OF_EACH: Final = {
    401: "a login or an API token is needed, or the given one is not valid",
    403: "a page of another site, a name in `Host` that is not this appliance's, or a role that may not do this",
    421: "the daemon runs with another configuration than `Netboot-Configuration` names",
}
_CREDENTIALS: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "an API token"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "the login of a browser; a change needs the header X-CSRF-Token too",
    },
}
_PATH_PARAMETERS: Final = {
    "host": "the name of a host; where its boots, logs and captures are read, also the MAC of an unregistered machine",
    "boot": "0 is the last boot, -1 the one before, 1 the first",
    "hook": "the name of a hook of `netboot.yaml`",
    "use": "`init`, `control-plane` or `worker`",
    "machine": "the name of a retired host, or one of its MACs",
    "id": "the id of an upload",
    "user": "the name of a user",
    "token": "the name of an API token",
}
_PATH_SCHEMAS: Final[Mapping[str, View]] = {
    "boot": {"pattern": "^-?[0-9]{1,6}$"},
    "use": {"enum": list(TAKEN_USES)},
}
_DESCRIPTION: Final = (
    "The administration of a netboot appliance. docs/api.md has examples. Errors are problem+json (RFC 9457): a "
    "program decides by `code`, the text is for a person."
)


def openapi(router: web.UrlDispatcher) -> View:
    """Describe every operation of a router."""
    routes = described_routes(router)
    schemas = Schemas([("the problem", "serialization", ProblemView), *_types(routes)])
    paths: dict[str, View] = {}
    used: set[str] = set()
    for method, path, operation in routes:
        described = _described(path, operation, schemas)
        if operation.name in used:  # a handler of several paths
            described["operationId"] += "." + path.rpartition("/")[2].strip("{}")
        used.add(operation.name)
        paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "netboot", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": _CREDENTIALS},
        "security": [{}, *({name: []} for name in _CREDENTIALS)],
        PROBLEMS_MEMBER: _problems(operation for _, _, operation in routes),
    }


def described_routes(router: web.UrlDispatcher) -> list[Route]:
    """List the operations of a router, in the order of their paths."""
    found = [
        (route.method, route.resource.canonical, operation)
        for route in router.routes()
        if route.resource is not None and (operation := operation_of(route.handler))
    ]
    gotten = {operation.name for method, _, operation in found if method == "GET"}
    is_own = [each for each in found if each[0] != "HEAD" or each[2].name not in gotten]  # GET brings HEAD
    return sorted(is_own, key=lambda each: (each[1], each[0]))


def _types(routes: Sequence[Route]) -> Iterator[tuple[str, Mode, Any]]:
    for _, _, operation in routes:
        if operation.answer is not None:
            yield f"{operation.name} answer", "serialization", operation.answer
        if operation.body is not None:
            yield f"{operation.name} body", "validation", operation.body
        if operation.query is not None:
            yield f"{operation.name} query", "validation", operation.query


def _described(path: str, operation: Operation, schemas: Schemas) -> View:
    parameters = [*_path_parameters(path), *_query_parameters(operation, schemas), *_header_parameters(operation)]
    found: View = {
        "operationId": operation.name,
        "tags": [operation.subject],
        "summary": operation.summary,
        "description": operation.details,
        "parameters": parameters,
        "requestBody": _body(operation, schemas),
        "responses": _responses(operation, schemas),
    }
    return {name: value for name, value in found.items() if value}


def _path_parameters(path: str) -> list[View]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PARAMETERS.get(name, f"the {name}"),
            "schema": {"type": "string", **_PATH_SCHEMAS.get(name, {"minLength": 1})},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(operation: Operation, schemas: Schemas) -> list[View]:
    if operation.query is None:
        return []
    query = schemas.resolved(f"{operation.name} query")
    required = query.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": schema.get("description", ""),
            "schema": _in_query(schema),
        }
        for name, schema in query.get("properties", {}).items()
    ]


def _in_query(schema: View) -> View:
    """Return the schema of a parameter, which has no null: it is absent instead."""
    given = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    own = {key: value for key, value in schema.items() if key not in ("description", "anyOf")}
    if own.get("default", "") is None:
        del own["default"]
    return {**own, **given[0]} if len(given) == 1 else {**own, "anyOf": given} if given else own


def _header_parameters(operation: Operation) -> list[View]:
    return [
        {"name": name, "in": "header", "required": True, "schema": dict(schema)}
        for name, schema in operation.request_headers.items()
    ]


def _body(operation: Operation, schemas: Schemas) -> View | None:
    if operation.body_media_type != JSON:
        content = {operation.body_media_type: {"schema": {"type": "string", "format": "binary"}}}
        return {"required": True, "content": content}
    if operation.body is None:
        return None
    fields = operation.body.model_fields if issubclass(operation.body, BaseModel) else {}
    is_required = any(field.is_required() for field in fields.values())
    return {"required": is_required, "content": {JSON: {"schema": schemas[f"{operation.name} body"]}}}


def _responses(operation: Operation, schemas: Schemas) -> View:
    answer: View = {"description": operation.summary}
    if operation.media_type == EVENTS:
        answer["content"] = {EVENTS: {"schema": _server_sent(schemas[f"{operation.name} answer"])}}
    elif operation.answer is not None:
        answer["content"] = {operation.media_type: {"schema": schemas[f"{operation.name} answer"]}}
    elif operation.media_type != JSON:
        answer["content"] = {operation.media_type: {"schema": {"type": "string"}}}
    if operation.headers:
        answer["headers"] = {name: {"schema": {"type": "string"}} for name in operation.headers}
    refusals = _refusals(operation)
    problem = {PROBLEM_JSON: {"schema": schemas["the problem"]}}
    return {
        **{str(status): answer for status in (operation.status, *operation.other_statuses)},
        **{str(status): {"description": text, "content": problem} for status, text in sorted(refusals.items())},
    }


def _server_sent(data: View) -> View:
    """Return the schema of one event of a stream, whose data is JSON."""
    shown = {"type": "string", "contentMediaType": JSON, "contentSchema": data}
    fields = {"id": {"type": "string"}, "event": {"type": "string"}, "data": shown}
    return {"type": "object", "properties": fields, "required": ["event", "data"]}


def _refusals(operation: Operation) -> dict[int, str]:
    """Describe each status with which an operation refuses a request, with its codes."""
    found: dict[int, list[str]] = {status: [text] for status, text in _OF_EACH.items()}
    if operation.query is not None or operation.body is not None or operation.media_type == EVENTS:
        found[400] = ["a wrong value in the query or the body"]
    if operation.body is not None or operation.body_media_type != JSON:
        found[413] = ["the body is too large"]
    for status in operation.statuses:
        found.setdefault(status, [HTTPStatus(status).phrase])
    for error in operation.errors:
        for status in statuses_of(error):
            found.setdefault(status, []).append(f"`{error.code}`")
    return {status: "; ".join(texts) for status, texts in found.items()}


def _problems(operations: Iterable[Operation]) -> Mapping[str, View]:
    """Describe each code of an error; `type` of a problem refers to it."""
    common = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, NetbootError)]
    declared = [error for found in operations for error in found.errors]
    named = {
        base
        for error in (*common, *declared)
        for base in error.__mro__
        if issubclass(base, NetbootError) and "code" in vars(base)
    }
    return {
        error.code: {
            "title": problem_title(error.code),
            "description": error.__doc__ or "",
            "status": statuses_of(error),
        }
        for error in sorted(named, key=lambda error: error.code)
    }

"""Reads the body of a request, and writes the JSON of an answer."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from netboot.admin.json_views import json_text


async def body_of(request: web.Request) -> dict[str, Any]:
    """Read the body of a request, which may be absent."""
    return await json_object(request) if request.can_read_body else {}


async def json_object(request: web.Request) -> dict[str, Any]:
    """Read the body of a request; raise HTTPBadRequest if it is not a JSON object."""
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError):  # not JSON, an unknown charset, a thousand brackets
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object")
    return body


def json_answer(found: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a result of `operate`."""
    return web.json_response(text=json_text(found), status=status, headers=headers)

"""The route of the description of the API."""

import asyncio
from typing import Any

from aiohttp import web

from netboot.admin.api.description.openapi import openapi
from netboot.admin.api.operation import operation
from netboot.admin.api.problems import OPENAPI_PATH
from netboot.admin.json_views import json_text


class OpenapiApi:
    """Serves the description of all routes of the application, which is made at the first request."""

    def __init__(self) -> None:
        self._text: str | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.get(OPENAPI_PATH, self.describe)]

    @operation(dict[str, Any])
    async def describe(self, request: web.Request) -> web.Response:
        """Describe the API, as OpenAPI 3.1."""
        if self._text is None:
            self._text = json_text(await asyncio.to_thread(openapi, request.app.router))
        return web.json_response(text=self._text)

"""The routes that list, make and revoke API tokens. A token itself is in one answer only: the one that makes it."""

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of
from netboot.admin.api.access.access_requests import CreateTokenBody
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_body
from netboot.errors import AccountRefusedError, StoreError, UnknownAccountError
from netboot.model.access.access_rule import Need, UserRole
from netboot.model.access.accounts import ApiToken
from netboot.operate.access.api_tokens import ApiTokens, CreatedToken, NewToken


class TokensApi:
    def __init__(self, tokens: ApiTokens) -> None:
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/tokens", self.all),
            web.post("/api/v1/tokens", self.create),
            web.delete("/api/v1/tokens/{token}", self.revoke),
        ]

    @needs(Need.MANAGE)
    @operation(list[ApiToken], errors=[StoreError])
    async def all(self, _request: web.Request) -> web.Response:
        """List the API tokens, without what a program sends."""
        return json_answer(await self._tokens.all())

    @needs(Need.MANAGE)
    @operation(CreatedToken, status=201, body=CreateTokenBody, errors=[AccountRefusedError, StoreError])
    async def create(self, request: web.Request) -> web.Response:
        """Make an API token.

        `token` of the answer is what a program sends: it is shown here, and never again.
        """
        body = await read_body(request, CreateTokenBody)
        new = NewToken(body.name, UserRole(body.role), body.life)
        answer = json_answer(await self._tokens.create(new, actor=actor_of(request)), status=201)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @needs(Need.MANAGE)
    @operation(ApiToken, errors=[UnknownAccountError, StoreError])
    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke an API token; what uses it is refused from now on."""
        return json_answer(await self._tokens.revoke(request.match_info["token"], actor=actor_of(request)))

"""The routes of BMCs. No answer has a user or a password."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.operation import operation
from netboot.admin.api.power.power_bodies import CredentialsBody
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_body
from netboot.bmc.credentials import BmcCredentials
from netboot.errors import BmcError, UnknownHostError
from netboot.operate.power.bmc_credentials import BmcCredentialFiles, WrittenCredentials


class BmcApi:
    def __init__(self, credentials: BmcCredentialFiles) -> None:
        self._credentials = credentials

    def routes(self) -> list[web.RouteDef]:
        return [web.put("/api/v1/hosts/{host}/bmc/credentials", self.set_credentials)]

    @operation(WrittenCredentials, body=CredentialsBody, errors=[UnknownHostError, BmcError])
    async def set_credentials(self, request: web.Request) -> web.Response:
        """Write the user and password of a host's BMC into its file, from where nothing shows them again."""
        body = await read_body(request, CredentialsBody)
        credentials = BmcCredentials(body.username, body.password)
        name = request.match_info["host"]
        return json_answer(await self._credentials.set(name, credentials, actor=actor_of(request)))

"""The routes of BMCs. No answer has a user or a password."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.operation import operation
from netboot.admin.api.power.power_bodies import CredentialsBody, ProbeBody
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_body
from netboot.bmc.credentials import BmcCredentials
from netboot.errors import BmcError, BmcRefusedError, UnknownHostError
from netboot.operate.administration import Administration
from netboot.operate.power.bmc_credentials import WrittenCredentials
from netboot.operate.power.bmc_probes import ProbedBmc


class BmcApi:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/hosts/{host}/bmc/probe", self.probe),
            web.put("/api/v1/hosts/{host}/bmc/credentials", self.set_credentials),
        ]

    @operation(ProbedBmc, body=ProbeBody, errors=[UnknownHostError, BmcRefusedError, BmcError])
    async def probe(self, request: web.Request) -> web.Response:
        """Find out what the BMC of a host can do, without a change; it may take four minutes."""
        body, name = await read_body(request, ProbeBody), request.match_info["host"]
        probes = self._administration.power.probes
        return json_answer(await probes.probe(name, is_recorded=body.record, actor=actor_of(request)))

    @operation(WrittenCredentials, body=CredentialsBody, errors=[UnknownHostError, BmcRefusedError])
    async def set_credentials(self, request: web.Request) -> web.Response:
        """Write the user and password of a host's BMC into its file, from where nothing shows them again.

        Only the BMC at `url`, which has `certificate`, gets them.
        """
        body = await read_body(request, CredentialsBody)
        credentials = BmcCredentials(body.username, body.password)
        name = request.match_info["host"]
        files = self._administration.bmc_credentials
        return json_answer(await files.set(name, credentials, url=body.url, actor=actor_of(request)))

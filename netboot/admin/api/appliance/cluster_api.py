"""The routes that show and replace the Ignition files of a cluster's roles."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from netboot.admin.access.requester import actor_of
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import RequestModel, read_query
from netboot.errors import RoleFileError, StoreError
from netboot.model.host.role_ignition import RoleUse
from netboot.operate.administration import Administration
from netboot.operate.cluster.role_file_uses import (
    LARGEST_BYTES,
    TAKEN_USES,
    IgnitionRequest,
    RoleFileStatus,
    TakenIgnition,
)
from netboot.yamlfile.faults import shown

Flag = Annotated[bool, Field(description="0 or 1")]


class IgnitionQuery(RequestModel):
    """`renewed`: the secrets were given to the cluster again. `new_cluster`: files of another one are put aside."""

    renewed: Flag = False
    new_cluster: Flag = False


class ClusterApi:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/cluster/ignition", self.ignition_files),
            web.put("/api/v1/cluster/ignition/{use}", self.set_ignition),
        ]

    @operation(list[RoleFileStatus])
    async def ignition_files(self, _request: web.Request) -> web.Response:
        """List the Ignition files that roles and hosts name, without secrets."""
        return json_answer(await self._administration.ignition_files())

    @operation(
        TakenIgnition,
        query=IgnitionQuery,
        body_media_type="application/vnd.coreos.ignition+json",
        errors=[RoleFileError, StoreError],
        statuses=[404],
    )
    async def set_ignition(self, request: web.Request) -> web.Response:
        """Take the body, byte for byte, as the Ignition file of a use."""
        use = request.match_info["use"]
        if use not in TAKEN_USES:
            raise web.HTTPNotFound(text=f"no such use {shown(use)}; {', '.join(TAKEN_USES)}")
        query = read_query(request, IgnitionQuery)
        content = bytearray()
        async for piece in request.content.iter_chunked(1 << 16):
            content += piece
            if len(content) > LARGEST_BYTES:
                raise web.HTTPRequestEntityTooLarge(
                    LARGEST_BYTES, len(content), text="an Ignition file has 4 MiB at most"
                )
        wanted = IgnitionRequest(RoleUse(use), bytes(content), query.renewed, query.new_cluster)
        taken = await self._administration.set_ignition(wanted, actor=actor_of(request))
        return json_answer(taken)

"""The routes that show and replace the Ignition files of a cluster's roles."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.request_body import json_answer
from netboot.model.host.role_ignition import RoleUse
from netboot.operate.administration import Administration
from netboot.operate.cluster.role_file_uses import LARGEST_BYTES, TAKEN_USES, IgnitionRequest
from netboot.yamlfile.faults import shown


class ClusterApi:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/cluster/ignition", self.ignition_files),
            web.put("/api/v1/cluster/ignition/{use}", self.set_ignition),
        ]

    async def ignition_files(self, _request: web.Request) -> web.Response:
        return json_answer(await self._administration.ignition_files())

    async def set_ignition(self, request: web.Request) -> web.Response:
        """Take the body, byte for byte, as the Ignition file of a use; `renewed=1`, `new_cluster=1` as the command."""
        use = request.match_info["use"]
        if use not in TAKEN_USES:
            raise web.HTTPNotFound(text=f"no such use {shown(use)}; {', '.join(TAKEN_USES)}")
        flags = [request.query.get(name, "0") for name in ("renewed", "new_cluster")]
        if not set(flags) <= {"0", "1"}:
            raise web.HTTPBadRequest(text="renewed and new_cluster are 0 or 1")
        content = bytearray()
        async for piece in request.content.iter_chunked(1 << 16):
            content += piece
            if len(content) > LARGEST_BYTES:
                raise web.HTTPRequestEntityTooLarge(
                    LARGEST_BYTES, len(content), text="an Ignition file has 4 MiB at most"
                )
        is_renewed, is_new_cluster = (flag == "1" for flag in flags)
        wanted = IgnitionRequest(RoleUse(use), bytes(content), is_renewed, is_new_cluster)
        taken = await self._administration.set_ignition(wanted, actor=actor_of(request))
        return json_answer(taken)

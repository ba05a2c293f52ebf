"""The routes that list hosts, machines and installs, and those that arm installs and cancel them."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.request_body import answering, body_of, json_answer
from netboot.model.install.install import MOST_ATTEMPTS
from netboot.operate.administration import Administration
from netboot.operate.arming import ArmRequest, CancelRequest
from netboot.operate.host_status import ArmedHost
from netboot.operate.selection import EVERY_HOST, HostSelection


class InstallsApi:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def routes(self) -> list[web.RouteDef]:
        administration = self._administration
        return [
            web.get("/api/v1/machines", answering(administration.machines)),
            web.get("/api/v1/hosts", self.hosts),
            web.get("/api/v1/hosts/{host}", answering(administration.host)),
            web.post("/api/v1/hosts/{host}/arm", self.arm),
            web.post("/api/v1/hosts/{host}/cancel", self.cancel),
            web.get("/api/v1/hosts/{host}/install", answering(administration.install)),
            web.get("/api/v1/installs", answering(administration.installs)),
            web.post("/api/v1/installs/arm", self.arm_all),
            web.post("/api/v1/installs/cancel", self.cancel_all),
            web.get("/api/v1/hosts/{host}/history", answering(administration.history)),
            web.get("/api/v1/hosts/{host}/served", answering(administration.served_documents)),
        ]

    async def arm(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        return json_answer((await self._armed([request.match_info["host"]], EVERY_HOST, body, request))[0])

    async def arm_all(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        return json_answer(await self._armed(*_selected(body), body, request))

    async def _armed(
        self, names: Sequence[str], selection: HostSelection, body: Mapping[str, Any], request: web.Request
    ) -> list[ArmedHost]:
        attempts, force = body.get("attempts"), body.get("force", False)
        if attempts is not None and not (type(attempts) is int and 1 <= attempts <= MOST_ATTEMPTS):  # True is an int
            raise web.HTTPBadRequest(text=f"attempts is a whole number from 1 to {MOST_ATTEMPTS}")
        if not isinstance(force, bool):
            raise web.HTTPBadRequest(text="force is true or false")
        wanted = ArmRequest(names, str(body.get("reason", "")), attempts, force, selection)
        return await self._administration.arm(wanted, actor=actor_of(request))

    async def cancel(self, request: web.Request) -> web.Response:
        reason = str((await body_of(request)).get("reason", ""))
        host = request.match_info["host"]
        return json_answer(await self._administration.cancel(host, reason=reason, actor=actor_of(request)))

    async def cancel_all(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        names, selection = _selected(body)
        wanted = CancelRequest(names, str(body.get("reason", "")), selection)
        return json_answer(await self._administration.cancel_all(wanted, actor=actor_of(request)))

    async def hosts(self, request: web.Request) -> web.Response:
        """List the hosts; `role=ROLE` and `label=KEY=VALUE`, several times, select some of them."""
        pairs = [text.partition("=") for text in request.query.getall("label", [])]
        if not all(key and sign for key, sign, _ in pairs):
            raise web.HTTPBadRequest(text="label is KEY=VALUE")
        selection = HostSelection(request.query.get("role"), {key: text for key, _, text in pairs})
        return json_answer(await self._administration.hosts(selection))


def _selected(body: Mapping[str, Any]) -> tuple[Sequence[str], HostSelection]:
    """Read the names of hosts, or the role and labels that select them; raise HTTPBadRequest."""
    names, role, labels = body.get("hosts"), body.get("role"), body.get("labels") or {}
    is_table = isinstance(labels, dict) and all(isinstance(text, str) for text in labels.values())
    if not (role is None or isinstance(role, str)) or not is_table:
        raise web.HTTPBadRequest(text="role is a text, and labels is an object of texts")
    selection = HostSelection(role, labels)
    if names and not selection.is_all:
        raise web.HTTPBadRequest(text="hosts names the hosts, or role and labels select them; give one of the two")
    if selection.is_all and not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise web.HTTPBadRequest(text="hosts is a list of names, one at least")
    return names or (), selection

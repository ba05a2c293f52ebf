"""The routes that list hosts, machines and installs, and those that arm installs and cancel them."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.hosts.host_filters import HostsQuery, InstallsQuery, MachinesQuery
from netboot.admin.api.hosts.host_requests import ArmAllBody, ArmBody, CancelAllBody, CancelBody, ConfirmBody
from netboot.admin.api.operation import operation
from netboot.admin.api.paging import LINK, page_answer
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_body, read_query
from netboot.errors import StoreError, TransitionError, UnknownHostError
from netboot.model.install.install import Move
from netboot.model.install.served_document import ServedDocument
from netboot.operate.administration import Administration
from netboot.operate.arming import ArmingRefusedError, ArmRequest, CancelRequest, ConfirmRequest
from netboot.operate.host_status import (
    ArmedHost,
    CancelledInstall,
    ConfirmedInstall,
    DiscoveredMachine,
    HostReport,
    HostStatus,
    InstallReport,
    InstallStatus,
)


class InstallsApi:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/machines", self.machines),
            web.get("/api/v1/hosts", self.hosts),
            web.get("/api/v1/hosts/{host}", self.host),
            web.post("/api/v1/hosts/{host}/arm", self.arm),
            web.post("/api/v1/hosts/{host}/cancel", self.cancel),
            web.post("/api/v1/hosts/{host}/confirm", self.confirm),
            web.get("/api/v1/hosts/{host}/install", self.install),
            web.get("/api/v1/installs", self.all),
            web.post("/api/v1/installs/arm", self.arm_all),
            web.post("/api/v1/installs/cancel", self.cancel_all),
            web.get("/api/v1/hosts/{host}/history", self.history),
            web.get("/api/v1/hosts/{host}/served", self.served),
        ]

    @operation(list[DiscoveredMachine], query=MachinesQuery, headers=[LINK], errors=[StoreError])
    async def machines(self, request: web.Request) -> web.Response:
        """List the unregistered machines that requested a boot."""
        query = read_query(request, MachinesQuery)
        found = [each for each in await self._administration.machines() if query.selects(each)]
        return page_answer(request, found, lambda each: str(each.machine.mac), limit=query.limit, after=query.after)

    @operation(list[HostStatus], query=HostsQuery, headers=[LINK], errors=[StoreError])
    async def hosts(self, request: web.Request) -> web.Response:
        """List the declared hosts with their installs."""
        query = read_query(request, HostsQuery)
        found = [each for each in await self._administration.hosts(query.selection) if query.selects(each)]
        return page_answer(request, found, lambda each: str(each.host.name), limit=query.limit, after=query.after)

    @operation(HostReport, errors=[UnknownHostError, StoreError])
    async def host(self, request: web.Request) -> web.Response:
        """Show a host, why it does not proceed, and what is known of its machine."""
        return json_answer(await self._administration.host(request.match_info["host"]))

    @operation(ArmedHost, body=ArmBody, errors=[UnknownHostError, ArmingRefusedError, StoreError])
    async def arm(self, request: web.Request) -> web.Response:
        """Arm a host: its next network boot wipes the disk that the answer names.

        If the host cannot be installed now, it is refused with every reason; `force` arms it anyway, except during an
        install.
        """
        body = await read_body(request, ArmBody)
        wanted = ArmRequest([request.match_info["host"]], body.reason, body.attempts, body.force)
        return json_answer((await self._administration.arm(wanted, actor=actor_of(request)))[0])

    @operation(list[ArmedHost], body=ArmAllBody, errors=[UnknownHostError, ArmingRefusedError, StoreError])
    async def arm_all(self, request: web.Request) -> web.Response:
        """Arm hosts by their names, or by role and labels: all of them, or none."""
        body = await read_body(request, ArmAllBody)
        wanted = ArmRequest(body.hosts, body.reason, body.attempts, body.force, body.selection)
        return json_answer(await self._administration.arm(wanted, actor=actor_of(request)))

    @operation(CancelledInstall, body=CancelBody, errors=[UnknownHostError, StoreError])
    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel the arming of a host, also of one that is no longer declared.

        `notes` lists what continues nevertheless.
        """
        body, host = await read_body(request, CancelBody), request.match_info["host"]
        return json_answer(await self._administration.cancel(host, reason=body.reason, actor=actor_of(request)))

    @operation(ConfirmedInstall, body=ConfirmBody, errors=[UnknownHostError, TransitionError, StoreError])
    async def confirm(self, request: web.Request) -> web.Response:
        """Confirm the machine of a held install: it is that of the host, and its install goes on by itself.

        `confirmed` is what held it. Refused if nothing is held, or if something else is held than `hold` names.
        """
        body, host = await read_body(request, ConfirmBody), request.match_info["host"]
        wanted = ConfirmRequest(host, body.hold, body.reason)
        return json_answer(await self._administration.confirm(wanted, actor=actor_of(request)))

    @operation(list[CancelledInstall], body=CancelAllBody, errors=[UnknownHostError, StoreError])
    async def cancel_all(self, request: web.Request) -> web.Response:
        """Cancel the armings of hosts by their names, or by role and labels."""
        body = await read_body(request, CancelAllBody)
        wanted = CancelRequest(body.hosts, body.reason, body.selection)
        return json_answer(await self._administration.cancel_all(wanted, actor=actor_of(request)))

    @operation(InstallReport, errors=[UnknownHostError, StoreError])
    async def install(self, request: web.Request) -> web.Response:
        """Show the install of a host, also of one that is no longer declared."""
        return json_answer(await self._administration.install(request.match_info["host"]))

    @operation(list[InstallStatus], query=InstallsQuery, headers=[LINK], errors=[StoreError])
    async def all(self, request: web.Request) -> web.Response:
        """List the stored installs, also of hosts that are no longer declared."""
        query = read_query(request, InstallsQuery)
        found = [each for each in await self._administration.installs() if query.selects(each)]
        return page_answer(request, found, lambda each: str(each.install.host), limit=query.limit, after=query.after)

    @operation(list[Move], errors=[UnknownHostError, StoreError])
    async def history(self, request: web.Request) -> web.Response:
        """List the newest 200 lines of the history of a host, oldest first."""
        return json_answer(await self._administration.history(request.match_info["host"]))

    @operation(list[ServedDocument], errors=[UnknownHostError, StoreError])
    async def served(self, request: web.Request) -> web.Response:
        """List what a host was served last, one document of each kind, without tokens."""
        return json_answer(await self._administration.served_documents(request.match_info["host"]))

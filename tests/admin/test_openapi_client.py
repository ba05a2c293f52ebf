"""What the client of the commands requests is in the description of the API: path, query and body of each method."""

import asyncio
import inspect
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from fixtures.api_answers import closed_description, operation_at
from jsonschema import Draft202012Validator

from netboot.bmc.credentials import BmcCredentials
from netboot.client import ControlClient
from netboot.errors import NetbootError
from netboot.model.access.access_rule import UserRole
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.host.role_ignition import RoleUse
from netboot.model.power.power import PowerAction
from netboot.model.release import EntryKind
from netboot.operate.access.api_tokens import NewToken
from netboot.operate.access.user_accounts import NewUser, UserEdit
from netboot.operate.arming import ArmRequest, CancelRequest, ConfirmRequest
from netboot.operate.cluster.role_file_uses import IgnitionRequest
from netboot.operate.one_time_boots import RescueRequest
from netboot.operate.power.power_request import PowerRequest
from netboot.operate.registration.approval import ApprovalRequest
from netboot.operate.registration.host_changes import HostValues, RemovalRequest
from netboot.operate.rollout.new_rollout import RolloutRequest
from netboot.operate.running_daemon import RescanRequest
from netboot.operate.selection import HostSelection

WORKERS = HostSelection("worker", {"rack": "r1"})
ARGUMENTS: Mapping[str, tuple[Any, ...]] = {
    "rescan_content": (RescanRequest((EntryKind.RELEASE, "ock"), "removed"),),
    "hosts": (WORKERS,),
    "host": ("cp1",),
    "arm": (ArmRequest((), "a reason", 2, force=True, selection=WORKERS),),
    "activity": ("52:54:00:aa:bb:01",),
    "plan": ("cp1",),
    "updates.plan": ("ock-1.31", "stable"),
    "cancel": ("cp1",),
    "confirm": (ConfirmRequest("cp1", "a reason"),),
    "cancel_all": (CancelRequest(["cp1"], "a reason"),),
    "install": ("cp1",),
    "history": ("cp1",),
    "served_documents": ("cp1",),
    "set_ignition": (IgnitionRequest(RoleUse.WORKER, b"{}", is_renewed=True, is_new_cluster=True),),
    "support": ("cp1", io.BytesIO()),
    "hooks.test": ("pager",),
    "logs.show": ("cp1",),
    "boots.all": ("cp1",),
    "boots.show": ("cp1",),
    "captures.all": ("cp1",),
    "captures.read": ("cp1",),
    "host_changes.add": (HostValues("w9", {"role": "worker"}),),
    "host_changes.edit": (HostValues("w9", {"disk": None}),),
    "host_changes.approve": (ApprovalRequest(["52:54:00:aa:bb:01"], "worker"),),
    "host_changes.remove": (RemovalRequest("w9", "a reason", force=True),),
    "host_changes.retire": (RemovalRequest("w9", "a reason", wipe="w9"),),
    "one_time_boots.inspect": ("cp1",),
    "one_time_boots.rescue": (RescueRequest(["cp1"]),),
    "one_time_boots.cancel_rescue": (["cp1"],),
    "one_time_boots.cancel_wipe": ("cp1",),
    "power.request": (PowerRequest(["cp1"], PowerAction.PXE, NetworkBoot.HTTP, is_forced=True),),
    "power.ended": ("ab12",),
    "power.read": ("cp1",),
    "power.probes.probe": ("cp1",),
    "bmc_credentials.set": ("cp1", BmcCredentials("root", "secret")),
    "rollouts.plan": (RolloutRequest(["cp1"], max_parallel=2, power=False),),
    "rollouts.begin": (RolloutRequest(failure_budget=1, replace="w1"),),
    "rollouts.cancel": (["cp1"],),
    "rollouts.retry": ("cp1",),
    "access.users.add": (NewUser("alice", UserRole.ADMIN, "correct horse battery"),),
    "access.users.change": (UserEdit("alice", UserRole.READ_ONLY),),
    "access.users.remove": ("alice",),
    "access.tokens.create": (NewToken("ci", UserRole.ADMIN, timedelta(days=1)),),
    "access.tokens.revoke": ("ci",),
}


@dataclass(frozen=True)
class Received:
    """A request of the client."""

    method: str
    path: str
    query: set[str]
    body: bytes


@asynccontextmanager
async def a_listener(socket: Path, received: list[Received]) -> AsyncIterator[None]:
    """Record every request, with its body, and answer with an empty object."""

    async def receive(request: web.Request) -> web.Response:
        received.append(Received(request.method, request.path, set(request.query), await request.read()))
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    yield
    await runner.cleanup()


def methods(client: ControlClient) -> dict[str, Any]:
    """List the public methods of a client and of its parts."""
    return {
        prefix + name: method
        for prefix, part in {"": client, **parts_of(client)}.items()
        for name, method in inspect.getmembers(part, inspect.ismethod)
        if name[0] != "_"
    }


def parts_of(client: Any) -> dict[str, Any]:
    found = {}
    for name, part in vars(client).items():
        if type(part).__module__.startswith("netboot.client"):
            inner = {f"{name}.{prefix}": each for prefix, each in parts_of(part).items()}
            found |= {f"{name}.": part, **inner}
    return found


async def requests_of_each_method(socket: Path) -> dict[str, Received]:
    received: list[Received] = []
    found = {}
    async with a_listener(socket, received), ControlClient(socket) as client:
        for name, method in methods(client).items():
            received.clear()
            with suppress(NetbootError, KeyError):  # the answer has not what is read of it
                called = method(*ARGUMENTS.get(name, ()))
                if inspect.isasyncgen(called):
                    async for _ in called:
                        break
                else:
                    await called
            (found[name],) = received
    return found


def test_each_request_of_the_client_is_described(tmp_path: Path):
    found = asyncio.run(requests_of_each_method(tmp_path / "socket"))

    assert len(found) > 30
    assert {name: faults for name, request in found.items() if (faults := request_faults(request))} == {}


def request_faults(request: Received) -> list[str]:
    """List what the description of the API does not have of a request."""
    operation = operation_at(request.method, request.path)
    if operation is None:
        return [f"{request.method} {request.path} is not described"]
    parameters = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
    faults = [f"{name} is not described" for name in request.query - parameters]
    if not request.body:
        return faults
    (media_type, described), *_ = operation["requestBody"]["content"].items()
    if media_type != "application/json":
        return faults
    schema = {"components": closed_description()["components"], **described["schema"]}
    return [*faults, *(error.message for error in Draft202012Validator(schema).iter_errors(json.loads(request.body)))]

"""The routes that add, change, approve, remove and retire hosts by their files.

A value of a host is what its file has: text, a whole number, true or false, a list or an object.
"""

from typing import Any, Final

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.hosts.host_requests import AddBody, ApproveBody, HostPatch, RemoveQuery, RetireBody
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer, json_object
from netboot.admin.api.request_models import read_body, read_query
from netboot.errors import (
    ConfigError,
    HostFileError,
    HostsNotWritableError,
    StoreError,
    TransitionError,
    UnknownHostError,
    WipeRefusedError,
)
from netboot.operate.registration.approval import ApprovalRequest
from netboot.operate.registration.host_changes import HostChanges, HostsChanged, HostValues, RemovalRequest
from netboot.yamlfile.plain_values import MOST_DIGITS

_DEEPEST: Final = 8  # tables in tables; a host has three
_TOO_LARGE: Final = 10**MOST_DIGITS
_OF_FILES: Final = (ConfigError, HostFileError, HostsNotWritableError, StoreError)


class HostChangesApi:
    def __init__(self, changes: HostChanges) -> None:
        self._changes = changes

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/hosts", self.add),
            web.patch("/api/v1/hosts/{host}", self.edit),
            web.delete("/api/v1/hosts/{host}", self.remove),
            web.post("/api/v1/hosts/{host}/retire", self.retire),
            web.post("/api/v1/machines/approve", self.approve),
        ]

    @operation(HostsChanged, status=201, body=AddBody, errors=_OF_FILES)
    async def add(self, request: web.Request) -> web.Response:
        """Declare a host in a file of its own."""
        body = await read_body(request, AddBody)
        added = await self._changes.add(HostValues(body.name, _checked(body.values)), actor=actor_of(request))
        return json_answer(added, status=201)

    @operation(HostsChanged, body=HostPatch, errors=[*_OF_FILES, UnknownHostError])
    async def edit(self, request: web.Request) -> web.Response:
        """Change keys of a host.

        The body is a JSON merge patch (RFC 7396) of its values: null removes a key.
        """
        patch = _checked(await json_object(request))
        host = HostValues(request.match_info["host"], patch)
        return json_answer(await self._changes.edit(host, actor=actor_of(request)))

    @operation(HostsChanged, query=RemoveQuery, errors=[*_OF_FILES, UnknownHostError, TransitionError])
    async def remove(self, request: web.Request) -> web.Response:
        """Remove a host: its arming is cancelled, its file deleted, and its addresses of pools are released."""
        query = read_query(request, RemoveQuery)
        wanted = RemovalRequest(request.match_info["host"], query.reason, query.force)
        return json_answer(await self._changes.remove(wanted, actor=actor_of(request)))

    @operation(HostsChanged, body=RetireBody, errors=[*_OF_FILES, UnknownHostError, TransitionError, WipeRefusedError])
    async def retire(self, request: web.Request) -> web.Response:
        """Retire a host: as its removal, and each of its tokens is invalid.

        With `wipe` the next boot of its machine wipes its disk.
        """
        body, name = await read_body(request, RetireBody), request.match_info["host"]
        if body.wipe not in (None, name):
            raise web.HTTPBadRequest(text=f"wipe is the name of the host again, {name}, or absent")
        wanted = RemovalRequest(name, body.reason, body.force, body.wipe or "")
        return json_answer(await self._changes.retire(wanted, actor=actor_of(request)))

    @operation(HostsChanged, body=ApproveBody, errors=_OF_FILES)
    async def approve(self, request: web.Request) -> web.Response:
        """Declare unregistered machines as hosts, all or none; with `dry_run` nothing is written."""
        body = await read_body(request, ApproveBody)
        _check_value(body.disk, 0)
        wanted = ApprovalRequest(
            body.macs,
            body.role,
            body.name or "",
            addresses=body.addresses,
            pool=body.pool or None,
            groups=body.groups,
            disk=body.disk or None,
            boot_card_only=body.boot_card_only,
            dry_run=body.dry_run,
        )
        return json_answer(await self._changes.approve(wanted, actor=actor_of(request)))


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Return values that a hosts file can have; raise HTTPBadRequest for another number, or tables nested too deep."""
    _check_value(values, 0)
    return values


def _check_value(value: object, depth: int) -> None:
    is_other_number = isinstance(value, float) or (isinstance(value, int) and abs(value) >= _TOO_LARGE)
    if depth > _DEEPEST or is_other_number:
        raise web.HTTPBadRequest(
            text=f"a value is a text, a whole number of at most {MOST_DIGITS} digits, true, false, null, a list or an "
            f"object, {_DEEPEST} deep at most"
        )
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_value(inner, depth + 1)

"""The routes that add, change, approve, remove and retire hosts by their files.

A value of a host is what its file has: text, a whole number, true or false, a list or an object.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.request_body import json_answer, json_object
from netboot.operate.registration.approval import ApprovalRequest
from netboot.operate.registration.host_changes import HostChanges, HostValues, RemovalRequest
from netboot.yamlfile.plain_values import MOST_DIGITS

_DEEPEST: Final = 8  # tables in tables; a host has three
_TOO_LARGE: Final = 10**MOST_DIGITS
_LISTS: Final = ("macs", "addresses", "groups")
_TEXTS: Final = ("role", "name", "pool")


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

    async def add(self, request: web.Request) -> web.Response:
        """Add a host: `{"name": NAME, "values": {…}}`."""
        body = _known(await json_object(request), ("name", "values"))
        name, values = body.get("name"), body.get("values")
        if not isinstance(name, str) or not isinstance(values, dict):
            raise web.HTTPBadRequest(text="name is a text, and values is an object of the host's keys")
        added = await self._changes.add(HostValues(name, _checked(values)), actor=actor_of(request))
        return json_answer(added, status=201)

    async def edit(self, request: web.Request) -> web.Response:
        """Change keys of a host: the body is a JSON merge patch (RFC 7396) of its values."""
        patch = _checked(await json_object(request))
        host = HostValues(request.match_info["host"], patch)
        return json_answer(await self._changes.edit(host, actor=actor_of(request)))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a host; `force=1`: also while its install runs."""
        name, query = request.match_info["host"], request.query
        wanted = RemovalRequest(name, query.get("reason", ""), query.get("force", "0") != "0")
        return json_answer(await self._changes.remove(wanted, actor=actor_of(request)))

    async def retire(self, request: web.Request) -> web.Response:
        """Retire a host: `{"reason": TEXT, "force": BOOLEAN, "wipe": NAME}`, all optional; NAME is the host's again."""
        body = _known(await json_object(request) if request.can_read_body else {}, ("reason", "force", "wipe"))
        name, wipe = request.match_info["host"], body.get("wipe")
        if wipe not in (None, name):
            raise web.HTTPBadRequest(text=f"wipe is the name of the host again, {name}, or absent")
        wanted = RemovalRequest(name, str(body.get("reason", "")), _flag(body, "force"), wipe or "")
        return json_answer(await self._changes.retire(wanted, actor=actor_of(request)))

    async def approve(self, request: web.Request) -> web.Response:
        """Register unregistered machines: `macs` and `role`, with the other fields of `ApprovalRequest`."""
        body = _known(await json_object(request), (*_LISTS, *_TEXTS, "disk", "boot_card_only", "dry_run"))
        for key in _LISTS:
            texts = body.get(key, [])
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise web.HTTPBadRequest(text=f"{key} is a list of texts")
        if not body.get("macs") or not body.get("role"):
            raise web.HTTPBadRequest(text="macs is a list of MACs, one at least, and role is the role of the hosts")
        if not all(isinstance(body[key], str) for key in _TEXTS if body.get(key) is not None):
            raise web.HTTPBadRequest(text=f"{', '.join(_TEXTS)} are texts")
        if not isinstance(body.get("disk"), str | dict | None):
            raise web.HTTPBadRequest(text="disk is a text, or an object as a host has it")
        _check_value(body.get("disk"), 0)
        given = {key: body[key] for key in (*_LISTS, *_TEXTS, "disk") if body.get(key)}
        wanted = ApprovalRequest(**given, boot_card_only=_flag(body, "boot_card_only"), dry_run=_flag(body, "dry_run"))
        return json_answer(await self._changes.approve(wanted, actor=actor_of(request)))


def _known(body: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Refuse an unknown key: a misspelt `dry_run` must not change anything."""
    if unknown := sorted(body.keys() - set(keys)):
        raise web.HTTPBadRequest(text=f"no such key {unknown[0]}; known here: {', '.join(keys)}")
    return body


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise web.HTTPBadRequest(text=f"{key} is true or false")
    return value


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

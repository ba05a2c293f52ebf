"""The route that shows a requester who it is, and what it may do."""

from dataclasses import dataclass

from aiohttp import web

from netboot.admin.access.requester import Requester, requester_of
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.model.access.access_rule import Channel, Need, UserRole
from netboot.model.access.accounts import LoginSession
from netboot.model.actor import Source


@dataclass(frozen=True, slots=True)
class RequesterView:
    """Who sends a request, by which way, and why some of it would be refused; `role` and `session` of a login."""

    actor: str
    source: Source
    channel: Channel
    role: UserRole | None
    session: LoginSession | None
    may_change: bool
    may_manage: bool
    change_refusal: str | None
    manage_refusal: str | None


class SessionApi:
    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/session", self.show)]

    @operation(RequesterView)
    async def show(self, request: web.Request) -> web.Response:
        """Show who sends this request, and what it may do."""
        return json_answer(_view(requester_of(request)))


def _view(requester: Requester) -> RequesterView:
    change, manage = requester.refusal(Need.CHANGE), requester.refusal(Need.MANAGE)
    return RequesterView(
        requester.actor.name,
        requester.actor.source,
        requester.channel,
        requester.role,
        requester.session,
        may_change=change is None,
        may_manage=manage is None,
        change_refusal=change.sentence if change is not None else None,
        manage_refusal=manage.sentence if manage is not None else None,
    )

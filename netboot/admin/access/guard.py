"""Finds who sends each request, and refuses those that may not: the only place that decides it."""

from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from netboot.admin.access.csrf import FormTokens, verified_form
from netboot.admin.access.needs import need_of
from netboot.admin.access.requester import Requester, actor_on, channel_of, is_api, note_requester
from netboot.model.access.access_rule import AccessRefusal, RefusalKind, access_refusal

LOGIN_PATH: Final = "/login"


def guard(forms: FormTokens) -> Middleware:
    """Make the middleware that serves only what the requester may request, and notes who it is."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        channel = channel_of(request)
        requester = Requester(actor_on(request), channel, csrf=forms.of_channel(channel))
        note_requester(request, requester)
        refusal = access_refusal(need_of(request), channel, requester.role, has_users=requester.has_users)
        if refusal is not None:
            return _refused(request, refusal)
        async with verified_form(request, requester) as verified:
            return await handler(verified)

    return guarded


def _refused(request: web.Request, refusal: AccessRefusal) -> web.Response:
    """Answer a refused request: a browser that loads a page is sent to the login."""
    if refusal.kind is RefusalKind.ROLE:
        raise web.HTTPForbidden(text=refusal.sentence)
    is_page = request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and "text/html" in request.headers.get("Accept", "")
    if is_page and not is_api(request):
        location = f"{LOGIN_PATH}?next={quote(request.path_qs, safe='/')}"
        return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
    raise web.HTTPUnauthorized(text=refusal.sentence, headers={"WWW-Authenticate": 'Bearer realm="netboot"'})

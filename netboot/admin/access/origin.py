"""Refuses requests of other sites' pages, and host names that are not this appliance's."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

_OUR_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1", "netboot"})  # the last is `client`'s on the socket


@web.middleware
async def no_browser_from_elsewhere(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that another site's page sends by a browser on this appliance: loopback does not exclude them."""
    origins = request.headers.getall("Origin", [])  # `null` from a sandboxed frame, which is not a page of ours
    hosts = {request.host, request.headers.get("Host", request.host)}  # they differ if the request names a whole URL
    try:
        is_ours = all(urlsplit(origin).netloc == request.host for origin in origins)
        names = {urlsplit(f"//{host}").hostname for host in hosts}
    except ValueError:
        is_ours, names = False, {None}
    if not is_ours or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise web.HTTPForbidden(text=f"a page of {', '.join(origins) or 'another site'} may not use this API")
    if not names <= _OUR_NAMES or any("@" in host for host in hosts):
        raise web.HTTPForbidden(text="this API answers to localhost, 127.0.0.1 and [::1] only")
    return await handler(request)

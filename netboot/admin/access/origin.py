"""Refuses requests of other sites' pages and host names that are not this appliance's; a link to a page is followed."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from netboot.admin.access.requester import is_api

_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_OUR_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1", "netboot"})  # the last is `client`'s on the socket


def no_browser_from_elsewhere(public_host: str = "") -> Middleware:
    """Make the middleware that refuses what another site's page sends by a browser: loopback does not exclude it.

    A name in `Host` is one of loopback, the address at which the connection was accepted, or `public_host`, the host
    of `admin.public_url`. Otherwise a site could give its own name this appliance's address (DNS rebinding).
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        origins = request.headers.getall("Origin", [])  # `null` from a sandboxed frame, which is not a page of ours
        hosts = {request.host, request.headers.get("Host", request.host)}  # they differ if the request has a whole URL
        try:
            is_ours = all(urlsplit(origin).netloc == request.host for origin in origins)
            names = {urlsplit(f"//{host}").hostname for host in hosts}
        except ValueError:
            is_ours, names = False, {None}
        is_from_here = request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        if not is_ours or not (is_from_here or _is_link(request)):
            raise web.HTTPForbidden(text=f"a page of {', '.join(origins) or 'another site'} may not use this API")
        ours = [name for name in (_own_address(request), public_host.lower()) if name]
        if not names <= _OUR_NAMES.union(ours) or any("@" in host for host in hosts):
            *first, last = dict.fromkeys([*_LOOPBACK_NAMES, *ours])
            raise web.HTTPForbidden(text=f"this API answers to {', '.join(first)} and {last} only")
        return await handler(request)

    return check


def _is_link(request: web.Request) -> bool:
    """Return whether an operator follows a link, as in a message of a hook, to a page that the other site cannot read.

    Scripts cannot set these headers (Fetch Metadata, W3C). In a frame, the destination is another one.
    """
    is_navigation = request.headers.get("Sec-Fetch-Mode") == "navigate"
    is_shown_alone = request.headers.get("Sec-Fetch-Dest") == "document"
    return request.method == "GET" and is_navigation and is_shown_alone and not is_api(request)


def _own_address(request: web.Request) -> str:
    """Return the address at which a connection by TCP was accepted; empty on the control socket."""
    ours = request.transport.get_extra_info("sockname") if request.transport else None
    return str(ours[0]) if isinstance(ours, tuple) else ""

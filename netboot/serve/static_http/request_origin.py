"""The client's address on the boot LAN, and ours as it reached us: from the socket, never from the request."""

from ipaddress import IPv4Address
from typing import Final

from aiohttp import web

from netboot.model import urls
from netboot.model.host.mac import Mac

ADVERTISED: Final = web.AppKey("advertised", dict[str, str])  # our addresses to what machines are given instead


def remote_address(request: web.Request) -> IPv4Address:
    """Return the client's address."""
    return IPv4Address(request.remote or "0.0.0.0")


def base_url(request: web.Request) -> str:
    """Name us as this machine reached us, or as we advertise; its Host header is a claim, the socket is not."""
    if request.transport is None:
        raise ConnectionResetError("the machine went away")
    address, port = request.transport.get_extra_info("sockname")[:2]
    return urls.base_url(request.app.get(ADVERTISED, {}).get(address, address), port)


def mac_in_path(request: web.Request) -> Mac | None:
    """Read the MAC of `/boot/{mac}…`; None for a path without one, and 404 where it is none."""
    written = request.match_info.get("mac")
    if written is None:
        return None
    try:
        return Mac.parse(written)
    except ValueError:
        raise web.HTTPNotFound(text="not found\n") from None

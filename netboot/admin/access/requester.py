"""Finds who sends a request: the user of a process on the control socket, or an address."""

import socket
from functools import wraps
from struct import Struct
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from netboot.model.actor import Actor, Source

_PEER: Final = Struct("3i")  # pid, uid, gid


def actor_of(request: web.Request) -> Actor:
    """Return who sends a request: the user of a process on the Unix socket (unix(7), SO_PEERCRED), or an address."""
    peer = request.transport.get_extra_info("socket") if request.transport else None
    if peer is None or peer.family is not socket.AF_UNIX:
        return Actor(f"a process on {request.remote or 'this box'}", Source.API)
    _pid, uid, _gid = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return Actor(f"uid {uid}", Source.CONTROL_SOCKET)


def on_the_socket_alone(handler: Handler) -> Handler:
    """Refuse a request over TCP: that listener has no login yet, so every user of this appliance could send it."""

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        ours = request.transport.get_extra_info("sockname") if request.transport else None
        if not isinstance(ours, str):  # the path of a Unix socket; for TCP an address and a port
            raise web.HTTPForbidden(
                text="hosts and Ignition files are changed over the control socket only; use the command, "
                "or curl --unix-socket with admin.socket"
            )
        return await handler(request)

    return handle

"""Who sends a request: the user of a process on the control socket, a user or API token, or an address."""

import socket
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from struct import Struct
from typing import Final

from aiohttp import web

from netboot.model.access.access_rule import AccessRefusal, Channel, Need, UserRole, access_refusal
from netboot.model.access.accounts import ApiToken, LoginSession
from netboot.model.actor import Actor, Source

_PEER: Final = Struct("3i")  # pid, uid, gid


@dataclass(frozen=True, slots=True)
class Requester:
    """Who sends a request, and what it may do."""

    actor: Actor
    channel: Channel
    role: UserRole | None = None  # of a valid session or API token
    session: LoginSession | None = None
    csrf: str = field(default="", repr=False)  # for the field `csrf` of forms or X-CSRF-Token; empty with an API token
    has_users: bool = False  # a user exists
    unknown: str | None = None  # why it is not known whether one does: the fault of the store

    def refusal(self, need: Need) -> AccessRefusal | None:
        """Return why a request with this need would be refused; None: it would be served."""
        return access_refusal(need, self.channel, self.role, has_users=self.has_users, unknown=self.unknown)

    @property
    def is_anonymous(self) -> bool:
        """Return whether it is from elsewhere and without a login."""
        return self.channel is Channel.NETWORK and self.role is None


_KEY: Final = web.RequestKey("requester", Requester)


def requester_of(request: web.Request) -> Requester:
    """Return who sends a request, as the guard found; without a guard, nobody has a login."""
    found = request.get(_KEY)
    return found or Requester(actor_on(request), channel_of(request))


def note_requester(request: web.Request, requester: Requester) -> None:
    request[_KEY] = requester


def actor_of(request: web.Request) -> Actor:
    """Return who requests a change, for the audit."""
    return requester_of(request).actor


def actor_on(request: web.Request, *, session: LoginSession | None = None, token: ApiToken | None = None) -> Actor:
    """Return the actor of a request with this valid credential, if it has one.

    On the control socket it is the user of the process (unix(7), SO_PEERCRED), else without a credential an address.
    """
    peer = request.transport.get_extra_info("socket") if request.transport else None
    if peer is not None and peer.family is socket.AF_UNIX:
        _pid, uid, _gid = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        return Actor(f"uid {uid}", Source.CONTROL_SOCKET)
    if session is not None:
        return Actor(session.user, Source.PAGE)
    if token is not None:
        return Actor(f"token {token.name}", Source.API)
    source = Source.API if is_api(request) else Source.PAGE
    return Actor(f"a process on {request.remote or 'this box'}", source)


def channel_of(request: web.Request) -> Channel:
    """Return by which way a request arrives."""
    ours = request.transport.get_extra_info("sockname") if request.transport else None
    if isinstance(ours, str):  # the path of a Unix socket; for TCP an address and a port
        return Channel.CONTROL_SOCKET
    return Channel.LOOPBACK if _is_loopback(request.remote) else Channel.NETWORK


def address_of(request: web.Request) -> str:
    """Return the address of the client."""
    return request.remote or ""


def is_api(request: web.Request) -> bool:
    """Return whether a request is for the API, whose clients are programs, and not for a page."""
    return request.path.startswith("/api/") or request.path == "/metrics"


def _is_loopback(remote: str | None) -> bool:
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback

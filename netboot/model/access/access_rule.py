"""The rule that decides whether a request of the administration is served, a pure function.

It is decided by what the route needs, the channel of the connection, and the credential of the request.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never


class UserRole(StrEnum):
    """What a user or an API token may do."""

    ADMIN = "admin"  # everything
    READ_ONLY = "read-only"  # nothing that changes anything


class Need(StrEnum):
    """What a route needs of who requests it."""

    OPEN = "open"  # nothing: the login page, the files that pages load, the health
    READ = "read"
    CHANGE = "change"
    MANAGE = "manage"  # users and API tokens


class Channel(StrEnum):
    """The way by which a request arrives."""

    CONTROL_SOCKET = "control-socket"  # the kernel reports the user of the process
    LOOPBACK = "loopback"  # TCP from this appliance
    NETWORK = "network"  # TCP from elsewhere, with TLS


@dataclass(frozen=True, slots=True)
class RefusedCredential:
    """A session or an API token that is not valid, or not any more."""

    sentence: str
    is_session: bool


Credential = UserRole | RefusedCredential | None  # the role of a valid one; None: the request has none


class RefusalKind(StrEnum):
    """What the requester can do about a refusal."""

    LOGIN = "login"  # send a valid credential
    ROLE = "role"  # nothing: the credential is valid, its role does not suffice


@dataclass(frozen=True, slots=True)
class AccessRefusal:
    """Why a request is not served."""

    kind: RefusalKind
    sentence: str


_ROLE: Final = AccessRefusal(RefusalKind.ROLE, "role read-only may not change anything; this needs role admin")
_LOOPBACK: Final = AccessRefusal(
    RefusalKind.LOGIN,
    "users exist, so a change over loopback needs a login or an API token; log in, use the netboot command, "
    "or make a token: netboot token create",
)
_MANAGE: Final = AccessRefusal(
    RefusalKind.LOGIN,
    "users and API tokens are managed by a user of role admin, or on the appliance: netboot user, netboot token",
)
_NETWORK: Final = AccessRefusal(
    RefusalKind.LOGIN,
    "this needs a login or an API token (Authorization: Bearer TOKEN); on the appliance: netboot user add, "
    "netboot token create",
)


def access_refusal(
    need: Need, channel: Channel, credential: Credential, *, has_users: bool, unknown: str | None = None
) -> AccessRefusal | None:
    """Return why a request is refused; None: it is served.

    `has_users`: a user exists; `unknown`: why it is not known whether one does, as if one did.
    """
    if channel is Channel.CONTROL_SOCKET:
        return None
    if isinstance(credential, RefusedCredential):
        # The login page is served to a browser whose session has ended.
        is_served = need is Need.OPEN and credential.is_session
        return None if is_served else AccessRefusal(RefusalKind.LOGIN, credential.sentence)
    if need is Need.OPEN:
        return None
    if credential is not None:
        return None if need is Need.READ or credential is UserRole.ADMIN else _ROLE
    match channel:
        case Channel.LOOPBACK:
            return _loopback_refusal(need, has_users=has_users, unknown=unknown)
        case Channel.NETWORK:
            return _NETWORK
        case _:
            assert_never(channel)


def _loopback_refusal(need: Need, *, has_users: bool, unknown: str | None) -> AccessRefusal | None:
    if need is Need.MANAGE:
        return _MANAGE
    if need is Need.CHANGE and unknown is not None:
        return AccessRefusal(RefusalKind.LOGIN, unknown)
    return _LOOPBACK if need is Need.CHANGE and has_users else None

"""One row for each branch of the access rule."""

from itertools import product

import pytest

from netboot.model.access.access_rule import (
    Channel,
    Credential,
    Need,
    RefusalKind,
    RefusedCredential,
    UserRole,
    access_refusal,
)

SOCKET, LOOPBACK, NETWORK = Channel.CONTROL_SOCKET, Channel.LOOPBACK, Channel.NETWORK
OPEN, READ, CHANGE, MANAGE = Need.OPEN, Need.READ, Need.CHANGE, Need.MANAGE
ADMIN, READ_ONLY = UserRole.ADMIN, UserRole.READ_ONLY
SESSION, TOKEN = RefusedCredential("the session has ended", True), RefusedCredential("the token has expired", False)
LOGIN, ROLE = RefusalKind.LOGIN, RefusalKind.ROLE

ROWS: list[tuple[Channel, Credential, bool, dict[Need, RefusalKind]]] = [
    # channel, credential, a user exists, what is refused
    *[(SOCKET, sent, True, {}) for sent in (None, ADMIN, READ_ONLY, SESSION, TOKEN)],
    *[(channel, ADMIN, True, {}) for channel in (LOOPBACK, NETWORK)],
    *[(channel, READ_ONLY, True, {CHANGE: ROLE, MANAGE: ROLE}) for channel in (LOOPBACK, NETWORK)],
    *[(channel, SESSION, True, {READ: LOGIN, CHANGE: LOGIN, MANAGE: LOGIN}) for channel in (LOOPBACK, NETWORK)],
    *[(channel, TOKEN, True, dict.fromkeys(Need, LOGIN)) for channel in (LOOPBACK, NETWORK)],
    (LOOPBACK, None, False, {MANAGE: LOGIN}),
    (LOOPBACK, None, True, {CHANGE: LOGIN, MANAGE: LOGIN}),
    (NETWORK, None, False, {READ: LOGIN, CHANGE: LOGIN, MANAGE: LOGIN}),
    (NETWORK, None, True, {READ: LOGIN, CHANGE: LOGIN, MANAGE: LOGIN}),
    # a valid token does not depend on users
    (LOOPBACK, ADMIN, False, {}),
    (NETWORK, READ_ONLY, False, {CHANGE: ROLE, MANAGE: ROLE}),
    (LOOPBACK, TOKEN, False, dict.fromkeys(Need, LOGIN)),
]


@pytest.mark.parametrize(("row", "need"), list(product(ROWS, Need)))
def test_each_request_is_served_or_refused_as_its_row_has_it(
    row: tuple[Channel, Credential, bool, dict[Need, RefusalKind]], need: Need
):
    channel, credential, has_users, refused = row

    refusal = access_refusal(need, channel, credential, has_users=has_users)

    assert (refusal and refusal.kind) == refused.get(need)


def sentence(need: Need, channel: Channel, credential: Credential) -> str:
    refusal = access_refusal(need, channel, credential, has_users=True)
    assert refusal is not None
    return refusal.sentence


def test_a_refusal_has_its_cure():
    assert sentence(READ, NETWORK, SESSION) == "the session has ended"
    assert sentence(CHANGE, NETWORK, READ_ONLY) == "role read-only may not change anything; this needs role admin"
    assert "netboot token create" in sentence(READ, NETWORK, None)
    assert "use the netboot command" in sentence(CHANGE, LOOPBACK, None)
    assert "on the appliance: netboot user" in sentence(MANAGE, LOOPBACK, None)

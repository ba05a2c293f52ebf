"""Users are added, changed and removed; each change is in the audit trail."""

import pytest
from fixtures.access import PASSWORD, ROOT, OpenAccess, with_access

from netboot.errors import AccountRefusedError, UnknownAccountError
from netboot.model.access.access_rule import RefusedCredential, UserRole
from netboot.model.actor import Actor, Source
from netboot.operate.access.user_accounts import MOST_USERS, NewUser, UserEdit

ADMIN, READ_ONLY = UserRole.ADMIN, UserRole.READ_ONLY
ALICE = Actor("alice", Source.PAGE)


def test_a_user_is_added_changed_and_removed_with_notes_and_an_audit(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        users = access.uses.users
        added = await users.add(NewUser("alice", ADMIN, PASSWORD))
        second = await users.add(NewUser("bob", READ_ONLY, PASSWORD), actor=ALICE)
        await access.uses.logins.log_in("alice", PASSWORD, "192.0.2.7")
        changed = await users.change(UserEdit("alice", READ_ONLY, PASSWORD + "2"), actor=ALICE)
        removed = await users.remove("alice")
        last = await users.remove("bob")

        no_admin = "no user has role admin: changes need an API token of role admin, or the control socket"
        assert added.notes == ["from now on, a change over loopback needs a login or an API token"]
        assert (second.notes, second.user.name, second.user.role) == ([], "bob", READ_ONLY)
        assert changed.notes == ["1 login of alice ended", no_admin]
        assert (changed.user.role, changed.user.sessions) == (READ_ONLY, [])
        assert removed.notes == [no_admin]
        assert last.notes == [
            "no user is left: everything but users and API tokens can be changed over loopback without a login"
        ]
        done = [(each["action"], each["subject"], each["actor"], each["source"]) for each in audits(access)]
        assert done == [
            ("add user", "alice: role admin", ROOT.name, "command"),
            ("add user", "bob: role read-only", "alice", "page"),
            ("set user", "alice: role read-only and password", "alice", "page"),
            ("remove user", "alice", ROOT.name, "command"),
            ("remove user", "bob", ROOT.name, "command"),
        ]
        assert PASSWORD not in repr(access.events)

    with_access(sqlite_url, scenario)


def audits(access: OpenAccess) -> list[dict[str, object]]:
    return access.named("audit.recorded")


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (NewUser("", ADMIN, PASSWORD), "use at most 32 letters"),
        (NewUser("9lives", ADMIN, PASSWORD), "a letter first"),
        (NewUser("uid 0", ADMIN, PASSWORD), "use at most 32 letters"),
        (NewUser("a" * 33, ADMIN, PASSWORD), "use at most 32 letters"),
        (NewUser("alice\n", ADMIN, PASSWORD), "use at most 32 letters"),
        (NewUser("alice", ADMIN, "short"), "a password has from 12 to 256 characters; this one has 5"),
        (NewUser("administrator", ADMIN, "Administrator"), "the password is the name of the user"),
        (NewUser("alice", ADMIN, PASSWORD + "\n"), "a line feed or another control character"),
        (NewUser("alice", ADMIN, PASSWORD + "\ud800"), "a line feed or another control character"),
        (NewUser("bob", ADMIN, PASSWORD), "the user exists; netboot user set bob"),
    ],
)
def test_a_user_that_cannot_be_added_is_refused_and_audited(sqlite_url: str, new: NewUser, reason: str):
    async def scenario(access: OpenAccess) -> None:
        await access.uses.users.add(NewUser("bob", READ_ONLY, PASSWORD))
        with pytest.raises(AccountRefusedError, match=reason):
            await access.uses.users.add(new)

        assert [user.name for user in await access.uses.users.all()] == ["bob"]
        assert [audit["outcome"] for audit in audits(access)] == ["done", "refused"]
        assert new.password not in repr(audits(access))

    with_access(sqlite_url, scenario)


def test_an_unknown_user_is_not_changed_and_an_empty_change_is_refused(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        users = access.uses.users
        await users.add(NewUser("bob", READ_ONLY, PASSWORD))
        with pytest.raises(UnknownAccountError, match="no user is called eve"):
            await users.change(UserEdit("eve", ADMIN))
        with pytest.raises(UnknownAccountError, match="no user is called eve"):
            await users.remove("eve")
        with pytest.raises(AccountRefusedError, match="nothing to change"):
            await users.change(UserEdit("bob"))

    with_access(sqlite_url, scenario)


def test_the_number_of_users_is_bounded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("netboot.operate.access.user_accounts.MOST_USERS", 1)

    async def scenario(access: OpenAccess) -> None:
        await access.uses.users.add(NewUser("bob", READ_ONLY, PASSWORD))
        with pytest.raises(AccountRefusedError, match="1 users exist; remove one first"):
            await access.uses.users.add(NewUser("alice", ADMIN, PASSWORD))

    with_access(sqlite_url, scenario)
    assert MOST_USERS >= 100


def test_one_login_of_a_user_is_ended_by_its_id_and_the_other_stays(store_url: str):
    async def scenario(access: OpenAccess) -> None:
        await access.uses.users.add(NewUser("alice", UserRole.ADMIN, PASSWORD))
        first = await access.uses.logins.log_in("alice", PASSWORD, "192.0.2.1")
        second = await access.uses.logins.log_in("alice", PASSWORD, "192.0.2.2")

        ended = await access.uses.users.end_login("alice", first.session.id)

        assert ended.address == "192.0.2.1"
        assert isinstance(access.uses.logins.session_of(first.cookie, "192.0.2.1"), RefusedCredential)
        assert access.uses.logins.session_of(second.cookie, "192.0.2.2") == second.session
        with pytest.raises(UnknownAccountError, match="alice has no such login"):
            await access.uses.users.end_login("alice", first.session.id)
        outcomes = [data["outcome"] for data in access.named("audit.recorded") if data["action"] == "end login"]
        assert outcomes == ["done", "refused"]

    with_access(store_url, scenario)

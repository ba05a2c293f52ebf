"""The login page, and a page without a login, while it is not known whether users exist: the store does not answer."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fixtures.access import OpenAccess, with_access

from netboot.admin.access import guard
from netboot.admin.access.csrf import FormTokens
from netboot.admin.application import admin_application
from netboot.admin.pages.access.login_page import LoginPages
from netboot.admin.pages.page_engine import PageEngine
from netboot.content.assets import assets_directory
from netboot.errors import StoreError
from netboot.model.clock import utc_now
from netboot.store.access.account_store import AccountStore, StoredAccounts

FAILED = "the store failed: disk I/O error; check its disk: dmesg"
HANGS = "the store did not answer within 0.05 s; check the load of its disk, or of its database server"


class FailingStore(AccountStore):
    async def all(self) -> StoredAccounts:
        raise StoreError(FAILED)


class HangingStore(AccountStore):
    async def all(self) -> StoredAccounts:
        await asyncio.sleep(2)
        raise StoreError(FAILED)


async def no_event() -> int:
    return 0


def shown(sqlite_url: str, store: type[AccountStore], *paths: str) -> list[str]:
    """The texts of pages that a browser on loopback gets."""

    async def run(access: OpenAccess) -> list[str]:
        engine = PageEngine(assets_directory() / "pages", last_event_id=no_event, now=utc_now)
        application = admin_application(
            [LoginPages(access.uses.logins, engine)],
            engine,
            configuration=Path("/etc/netboot.yaml"),
            access=access.uses,
            forms=FormTokens(b"a key"),
            metrics=access.metrics,
            store_events=lambda: asyncio.ensure_future(asyncio.sleep(0, True)),
        )
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
                return [await (await client.get(path)).text() for path in paths]
        finally:
            await runner.cleanup()

    found: Any = with_access(sqlite_url, run, store_of=store)
    return [str(each) for each in found]


@pytest.mark.parametrize(("store", "fault"), [(FailingStore, FAILED), (HangingStore, HANGS)])
def test_the_login_page_says_that_the_store_does_not_answer_and_what_to_do(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, store: type[AccountStore], fault: str
):
    monkeypatch.setattr(guard, "OPEN_WAIT_S", 0.05)

    [login] = shown(sqlite_url, store, "/login")

    assert f"Nobody can log in now: {fault}" in login
    assert "No user exists yet" not in login


def test_a_page_that_only_reads_does_not_say_that_users_exist_while_that_is_not_known(sqlite_url: str):
    [page] = shown(sqlite_url, FailingStore, "/logout")

    assert f"Nothing can be changed here: {FAILED}" in page
    assert "users exist" not in page


def test_a_store_without_users_has_neither_sentence(sqlite_url: str):
    login, page = shown(sqlite_url, AccountStore, "/login", "/logout")

    assert "No user exists yet" in login
    assert "Nobody can log in now" not in login
    assert "Nothing can be changed here" not in page

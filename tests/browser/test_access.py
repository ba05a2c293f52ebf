"""Who may use the pages and the API over the network, as docs/threat-model.md has it: by TLS, from real addresses."""

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from fixtures.browser import Pages, axe, chromium, screenshot
from fixtures.hostile_site import hostile_site
from fixtures.logins import (
    COOKIE,
    PASSWORD,
    URL,
    Program,
    add_token,
    add_user,
    cookie_of,
    issue_certificate,
    log_in,
    write_files_with_tls,
)
from fixtures.rack import Rack, a_rack
from playwright.sync_api import Browser, expect
from secrets_search import Finding, Secret, files_below, search

pytestmark = pytest.mark.integration

PROGRAM, ATTACKER = "192.0.2.77", "192.0.2.99"
ARM: Final = b'{"hosts": ["cp1"]}'
REFUSED: Final = r"40[13]|net::ERR_|Failed to load"


@pytest.fixture(scope="module")
def rack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files_with_tls(tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def rack(rack_directory: Path) -> Iterator[Rack]:
    """A daemon with the users alice (admin) and bob (read-only)."""
    with a_rack(rack_directory) as rack:
        for address in (PROGRAM, ATTACKER):  # a later one would end the requests of the browser
            rack.add_client_address(address)
        issue_certificate(rack)
        rack.start()
        add_user(rack, "alice")
        add_user(rack, "bob", "read-only")
        yield rack


@pytest.fixture(scope="module")
def browser(rack: Rack) -> Iterator[Browser]:
    """Chromium of an administrator on the LAN, at 192.0.2.66."""
    with chromium(rack.client_namespace) as browser:
        yield browser


@pytest.fixture
def program(rack: Rack) -> Program:
    """A program on another computer of the LAN."""
    return Program(rack, PROGRAM)


def is_armed(rack: Rack) -> bool:
    return bool(rack.api("/api/v1/hosts/cp1/install")["armed"])


def test_without_a_login_the_network_gets_the_login_page_and_the_api_nothing(pages: Pages, program: Program):
    page = pages.open("/hosts/cp1", base_url=URL, ignore_https_errors=True)
    answers = [program.send("GET", f"/api/v1/{view}") for view in ("hosts", "status", "events?follow=0", "users")]
    answers += [program.send("POST", "/api/v1/installs/arm", ARM), program.send("GET", "/metrics")]

    assert page.url == f"{URL}/login?next=/hosts/cp1"
    assert "52:54" not in page.content()
    axe(page)
    screenshot(page, "login-network")
    assert [answer.status for answer in answers] == [401] * 6
    assert all(b"cp1" not in answer.body for answer in answers)
    assert not is_armed(program.rack)


def test_health_beyond_loopback_is_one_word(program: Program):
    for path in ("/healthz", "/readyz"):
        answer = program.send("GET", path)
        assert answer.status in (200, 503)
        assert b"parts" not in answer.body


def test_an_administrator_logs_in_and_is_led_to_the_page_that_was_requested(pages: Pages, rack: Rack):
    page = log_in(pages, "alice", next_url="/hosts/cp1")

    page.wait_for_url(f"{URL}/hosts/cp1")
    expect(page.locator("header")).to_contain_text("alice")
    cookie = cookie_of(page)
    flags = (cookie["httpOnly"], cookie["sameSite"], cookie["secure"], cookie["path"], cookie["domain"])
    assert flags == (True, "Strict", True, "/", "192.0.2.10")
    assert page.evaluate("document.cookie") == ""


def test_a_login_survives_a_restart_and_ends_with_the_logout(pages: Pages, rack: Rack, program: Program):
    pages.expect(REFUSED)
    page = log_in(pages, "alice")
    page.wait_for_url(f"{URL}/")
    cookie = cookie_of(page)["value"]
    time.sleep(1)
    rack.kill()
    rack.start()

    page.reload()
    expect(page.locator("header")).to_contain_text("alice")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login**")
    page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": URL}])
    page.goto("/")

    assert page.url.startswith(f"{URL}/login")


def test_a_cookie_that_is_sent_from_another_address_is_refused_and_ends_the_login(
    pages: Pages, rack: Rack, program: Program
):
    pages.expect(REFUSED)
    page = log_in(pages, "alice")
    page.wait_for_url(f"{URL}/")
    stolen = f"{COOKIE}={cookie_of(page)['value']}"

    answers = [
        program.send("GET", "/api/v1/hosts", Cookie=stolen),
        program.send("POST", "/api/v1/installs/arm", ARM, Cookie=stolen, Content_Type="application/json"),
    ]
    page = page.context.new_page()  # the first one notices it too, and may be on its way to the login
    page.goto(URL)

    assert [answer.status for answer in answers] == [401, 401]
    assert page.url.startswith(f"{URL}/login")
    event = rack.wait_for("access.session_refused")
    assert (event["user"], event["address"], event["login_address"]) == ("alice", "192.0.2.77", "192.0.2.66")
    assert not is_armed(rack)


def test_a_read_only_user_reads_and_changes_nothing(pages: Pages, rack: Rack, program: Program):
    pages.expect(REFUSED)
    page = log_in(pages, "bob")
    page.wait_for_url(f"{URL}/")
    expect(page.locator("#host-cp1")).to_be_visible()
    token = add_token(rack, "reader", "read-only")

    page.goto("/hosts/cp1/arm")
    for button in page.get_by_role("button", name="Arm", disabled=False).all():
        button.click()
    answers = [
        program.with_token(token, "GET", "/api/v1/hosts"),
        program.with_token(token, "POST", "/api/v1/installs/arm", ARM),
        program.with_token(token, "POST", "/api/v1/users", b'{"name": "eve", "role": "admin", "password": "x"}'),
        program.with_token(token, "GET", "/api/v1/users"),
    ]

    assert [answer.status for answer in answers] == [200, 403, 403, 403]
    assert "read-only" in answers[1].sentence
    assert not is_armed(rack)


def test_an_expired_and_a_revoked_token_are_refused(rack: Rack, program: Program):
    expired, revoked, valid = (add_token(rack, name) for name in ("expired", "revoked", "valid"))
    rack.netboot("token", "revoke", "revoked")
    rack.signal(signal.SIGTERM)
    rack.wait()
    with sqlite3.connect(rack.directory / "netboot.db") as store:
        store.execute("UPDATE api_tokens SET expires_at = '2026-01-01T00:00:00+00:00' WHERE name = 'expired'")
    store.close()
    rack.start()

    answers = [program.with_token(each, "GET", "/api/v1/hosts") for each in (expired, revoked, valid, "nb_none")]

    assert [answer.status for answer in answers] == [401, 401, 200, 401]
    assert "expired" in answers[0].sentence


def test_a_thousand_wrong_logins_are_limited_and_disturb_nobody(pages: Pages, rack: Rack):
    """One address is limited after 10; the daemon answers meanwhile; alice logs in at her own address."""
    log_in(pages, "alice").wait_for_url(f"{URL}/")
    attacker = Program(rack, ATTACKER)
    page = attacker.send("GET", "/login", Accept="text/html").body.decode()
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    waits: list[float] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            began = time.monotonic()
            rack.curl_api("/healthz")
            waits.append(time.monotonic() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        form = urlencode({"csrf": csrf, "name": "alice", "password": "wrong"}).encode()
        headers = {"Content_Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        with closing(attacker.connect()) as connection:
            answers = [attacker.send_on(connection, "POST", "/login", form, **headers) for _ in range(1_000)]
    finally:
        is_over.set()
        watcher.join()

    statuses = [answer.status for answer in answers]
    limited = [answer for answer in answers if answer.status == 429]
    assert set(statuses) <= {401, 429}
    assert statuses[-1] == 429
    assert statuses.count(401) < 120  # 10, and one every 12 seconds
    assert all(0 < int(answer.headers["Retry-After"]) < 3600 for answer in limited)
    assert max(waits) < 5
    assert len(rack.lines("access.login_failed")) < 50
    log_in(pages, "alice").wait_for_url(f"{URL}/")


def test_a_page_of_another_origin_cannot_use_the_login_of_an_administrator(pages: Pages, rack: Rack):
    """Another port of the appliance is the same site: the browser sends the cookie with the request."""
    pages.expect(REFUSED + "|blocked|CORS|Refused|violates")
    page = log_in(pages, "alice")
    page.wait_for_url(f"{URL}/")
    with hostile_site(rack.server_namespace) as site:
        site.html = (
            f"<form method=post action='{URL}/hosts/cp1/arm'><input name=host value=cp1><button>win</button></form>"
        )
        hostile = page.context.new_page()
        hostile.goto("http://192.0.2.10:9000/")
        read = hostile.evaluate(
            "url => fetch(url, {credentials: 'include'}).then(answer => answer.text(), () => 'refused')",
            f"{URL}/api/v1/hosts",
        )
        with hostile.expect_response(f"{URL}/hosts/cp1/arm") as answered:
            hostile.get_by_role("button").click()

    assert read == "refused"
    assert answered.value.status in (401, 403)
    assert not is_armed(rack)


def test_loopback_may_only_read_when_a_user_exists(rack: Rack):
    read = rack.curl_api("/api/v1/hosts")
    refused = [
        rack.curl_api("-X", "POST", "-d", ARM.decode(), "/api/v1/installs/arm"),
        rack.curl_api("/api/v1/users"),
        rack.curl_api("/api/v1/tokens"),
    ]

    assert read.status == 200
    assert [answer.status for answer in refused] == [401, 401, 401]
    assert not is_armed(rack)


def test_no_password_cookie_or_token_is_kept_or_shown(pages: Pages, rack: Rack, program: Program):
    page = log_in(pages, "alice")
    page.wait_for_url(f"{URL}/")
    token = add_token(rack, "searched")
    assert program.with_token(token, "GET", "/api/v1/hosts").status == 200
    secrets = [
        Secret("password", PASSWORD),
        Secret("cookie", cookie_of(page)["value"]),
        Secret("API token", token),
    ]
    shown = {}
    for url in ("/", "/users", "/activity", "/appliance"):
        page.goto(url)
        shown[url] = page.content().encode()
    for view in ("users", "tokens", "session", "events?follow=0", "activity"):
        shown[view] = program.with_token(token, "GET", f"/api/v1/{view}").body

    assert all(shown.values())
    assert search({**shown, **files_below(rack.directory)}, secrets) == list[Finding]()

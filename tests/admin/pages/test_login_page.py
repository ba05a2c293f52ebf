"""The login and its end, on the whole appliance in one process; tests/browser has them with a browser."""

import re
from html import unescape
from urllib.parse import quote, urlencode

import pytest
from fixtures.access import PASSWORD
from safety.appliance import Appliance, Response

from netboot.admin.access.browser_login import next_page

HEADERS = ("Host: localhost", "Accept: text/html")


@pytest.fixture
def box(box: Appliance) -> Appliance:
    """An appliance with the user alice."""
    assert box.api("POST", "/users", {"name": "alice", "role": "admin", "password": PASSWORD}).status == 201
    return box


def send(box: Appliance, method: str, path: str, *, cookie: str = "", **fields: str) -> Response:
    """Send a request of a browser on loopback, with the token of the page that has the form."""
    sent = (*HEADERS, *([f"Cookie: {cookie}"] if cookie else []))
    if method == "GET":
        return box.administration(method, path, headers=sent, on_loopback=True)
    token = re.search(r'name="csrf" value="([^"]*)"', send(box, "GET", path, cookie=cookie).body.decode())
    assert token is not None
    form = urlencode({**fields, "csrf": token[1]}).encode()
    encoded = (*sent, "Content-Type: application/x-www-form-urlencoded")
    return box.administration(method, path, form, headers=encoded, on_loopback=True)


def log_in(box: Appliance, password: str = PASSWORD, wanted: str = "/activity") -> Response:
    return send(box, "POST", "/login", name=" alice ", password=password, next=wanted)


def words(response: Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.body.decode())).split())


@pytest.mark.parametrize("wanted", ["/", "/activity?audit=1", "/hosts/cp1#boots"])
def test_a_login_leads_to_a_page_of_this_appliance(wanted: str):
    assert next_page(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [None, "", "x", "//evil.example.org", "/\\evil.example.org", "/a\\b", "https://a/", "/\r\nX: y", "/é", "/login?a"],
)
def test_a_login_leads_nowhere_else(wanted: str | None):
    assert next_page(wanted) == "/"


def test_a_login_begins_a_session_that_its_logout_ends(box: Appliance):
    answer = log_in(box)

    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert (answer.status, answer.headers["location"], answer.headers["cache-control"]) == (
        303,
        "/activity",
        "no-store",
    )
    assert sorted(attributes) == ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Strict"]
    assert "alice" in words(send(box, "GET", "/activity", cookie=cookie))
    again = send(box, "GET", f"/login?next={quote('/throughput')}", cookie=cookie)
    assert (again.status, again.headers["location"]) == (303, "/throughput")

    ended = send(box, "POST", "/logout", cookie=cookie)

    assert (ended.status, ended.headers["location"]) == (303, "/login")
    assert ended.headers["set-cookie"] == 'netboot-session=""; Max-Age=0; Path=/; HttpOnly; SameSite=Strict'
    assert send(box, "GET", "/activity", cookie=cookie).headers["location"] == "/login?next=/activity"


def test_a_wrong_password_is_refused_with_the_typed_name_and_limited_after_ten(box: Appliance):
    answers = [log_in(box, "wrong horse battery") for _ in range(11)]

    refused, limited = answers[0], answers[-1]
    assert [each.status for each in answers] == [401] * 10 + [429]
    assert "user name or password is wrong" in words(refused)
    assert 'value="alice"' in refused.body.decode()
    assert 'value="/activity"' in refused.body.decode()
    assert "set-cookie" not in refused.headers
    assert 0 < int(limited.headers["retry-after"]) < 3600


def test_while_the_store_fails_nobody_logs_in_and_the_page_says_so(box: Appliance):
    with box.failing_store("sessions"):
        answer = log_in(box)

    assert (answer.status, "Nobody can log in now: " in words(answer)) == (503, True)

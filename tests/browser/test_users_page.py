"""Users, logins and API tokens on their page: a token is shown once, a login is ended, a removal is confirmed."""

import pytest
from fixtures.browser import Appearance, Pages, assert_fits, axe, screenshot
from fixtures.logged_in import PASSWORD, add_user, log_in
from fixtures.rack import Rack
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True, scope="module")
def users(rack: Rack) -> None:
    add_user(rack, "alice")
    add_user(rack, "bob", "read-only")


def add(page: Page, name: str, password: str, again: str | None = None) -> None:
    form = page.get_by_role("form", name="Add a user")
    form.get_by_label("Name").fill(name)
    form.get_by_label("Password").fill(password)
    form.get_by_label("Again").fill(password if again is None else again)
    form.get_by_role("button", name="Add user").click()


@pytest.mark.parametrize("appearance", Appearance)
def test_the_page_is_accessible_and_fits(pages: Pages, rack: Rack, appearance: Appearance):
    page = log_in(pages, "alice", "/users", appearance)
    page.locator("#edit-bob summary").click()
    screenshot(page, f"users-{appearance}")

    axe(page)
    assert_fits(page)


def test_a_user_is_added_changed_and_removed(pages: Pages, rack: Rack):
    page = log_in(pages, "alice", "/users")
    add(page, "dave", PASSWORD)
    expect(page.get_by_role("status").filter(has_text="User dave was added")).to_be_visible()

    page.locator("#edit-dave summary").click()
    page.locator("#edit-dave").get_by_label("Role").select_option("admin")
    page.locator("#edit-dave").get_by_role("button", name="Change").click()
    expect(page.get_by_role("status").filter(has_text="User dave was changed")).to_be_visible()

    page.locator("#edit-dave summary").click()
    page.locator("#edit-dave").get_by_role("link", name="Remove").click()
    screenshot(page, "user-remove")
    axe(page)
    page.get_by_role("button", name="Remove dave").click()
    expect(page.get_by_role("status").filter(has_text="User dave was removed")).to_be_visible()
    requested = [
        each["data"]["action"] for each in rack.api("/api/v1/activity?actor=alice") if each["event"] == "audit.recorded"
    ]
    assert requested[:3] == ["remove user", "set user", "add user"]


def test_what_is_refused_is_shown_with_the_typed_name(pages: Pages):
    pages.expect("409|400")
    page = log_in(pages, "alice", "/users")
    add(page, "bob", PASSWORD)

    expect(page.get_by_role("alert")).to_contain_text("cannot add bob: the user exists")
    form = page.get_by_role("form", name="Add a user")
    assert (form.get_by_label("Name").input_value(), form.get_by_label("Password").input_value()) == ("bob", "")

    add(page, "eve", PASSWORD, again="another battery horse")
    expect(page.get_by_role("alert")).to_contain_text("the two passwords differ")


def test_a_token_is_shown_once_and_works_until_it_is_revoked(pages: Pages, rack: Rack):
    page = log_in(pages, "alice", "/users")
    form = page.get_by_role("form", name="Make an API token")
    form.get_by_label("Name").fill("ci")
    form.get_by_role("button", name="Make token").click()

    token = page.locator(".secret code").inner_text()
    assert token.startswith("nb_")
    screenshot(page, "token-made")
    axe(page)
    authorization = f"Authorization: Bearer {token}"
    assert rack.curl_api("-H", authorization, "/api/v1/status").status == 200
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("#tokens")).to_contain_text("ci")
    assert token not in page.content()

    page.get_by_role("link", name="Revoke ci").click()
    axe(page)
    page.get_by_role("button", name="Revoke ci").click()
    expect(page.get_by_role("status").filter(has_text="The API token ci is revoked")).to_be_visible()
    assert rack.curl_api("-H", authorization, "/api/v1/status").status == 401


def test_a_login_that_is_ended_is_led_to_the_login(pages: Pages):
    bob = log_in(pages, "bob", "/users")
    expect(bob.get_by_text("Users and API tokens are not shown: role read-only")).to_be_visible()
    page = log_in(pages, "alice", "/users")
    page.locator("#logins").get_by_role("row", name="bob").first.get_by_role("button").click()

    expect(page.get_by_role("status").filter(has_text="The login of bob from 127.0.0.1 ended")).to_be_visible()
    bob.goto("/activity")
    assert "bob" not in bob.locator(".who").inner_text()


def test_without_a_login_the_page_names_no_user(pages: Pages):
    page = pages.open("/users")

    expect(page.get_by_text("Users and API tokens are not shown")).to_be_visible()
    assert "alice" not in page.content()

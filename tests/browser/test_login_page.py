"""The login: by the form, refused, limited, leading nowhere else, ended; and what a read-only user can do."""

import re
from urllib.parse import quote

import pytest
from fixtures.browser import LOOPBACK, Appearance, Pages, assert_fits, axe, screenshot
from fixtures.logged_in import PASSWORD, WRONG, add_user, log_in, submit
from fixtures.rack import Rack
from playwright.sync_api import expect

pytestmark = pytest.mark.integration

# Where a button sends its form; without the attribute, `formAction` is the page itself.
ACTION = "button => new URL(button.hasAttribute('formaction') ? button.formAction : button.form.action).pathname"


@pytest.fixture(autouse=True, scope="module")
def users(rack: Rack) -> None:
    add_user(rack, "alice")
    add_user(rack, "bob", "read-only")


@pytest.mark.parametrize("appearance", Appearance)
def test_the_page_of_the_login_is_accessible(pages: Pages, appearance: Appearance):
    page = pages.open("/login", appearance)
    screenshot(page, f"login-form-{appearance}")

    axe(page)
    assert_fits(page)


def test_a_user_logs_in_is_shown_and_logs_out(pages: Pages):
    pages.expect("ERR_INCOMPLETE_CHUNKED_ENCODING")  # the stream of events ends with the login
    page = log_in(pages, "alice", "/activity")

    assert page.url == f"{LOOPBACK}/activity"
    expect(page.locator(".who")).to_contain_text("alice")
    expect(page.locator(".who")).to_contain_text("admin")
    axe(page)
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{LOOPBACK}/login")
    assert page.context.cookies() == []


def test_the_cookie_is_for_this_appliance_alone_and_no_script_reads_it(pages: Pages):
    page = log_in(pages, "alice")

    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert page.evaluate("document.cookie") == ""


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(pages: Pages, name: str):
    pages.expect("401")
    page = pages.open("/login")
    submit(page, name, WRONG)

    expect(page.get_by_role("alert")).to_have_text("user name or password is wrong")
    assert page.get_by_label("User").input_value() == name
    assert page.get_by_label("Password").input_value() == ""
    screenshot(page, "login-refused")
    axe(page)


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example.org/", "//evil.example.org/", "/\\evil.example.org", "javascript:alert(1)", "x"]
)
def test_a_login_leads_to_no_other_site(pages: Pages, elsewhere: str):
    page = pages.open(f"/login?next={quote(elsewhere)}")
    submit(page, "alice", PASSWORD)

    expect(page).to_have_url(f"{LOOPBACK}/")


def test_who_is_logged_in_is_led_on_by_the_page_of_the_login(pages: Pages):
    page = log_in(pages, "alice")
    page.goto("/login?next=/throughput")

    assert page.url == f"{LOOPBACK}/throughput"


def test_a_read_only_user_sees_the_pages_and_why_nothing_can_be_changed(pages: Pages):
    page = log_in(pages, "bob", "/appliance")

    expect(page.get_by_role("button", name="Reload files")).to_be_disabled()
    expect(page.locator("#no-change")).to_contain_text("role read-only may not change anything")
    page.goto("/hosts/cp1")
    expect(page.locator("#actions").get_by_role("button", name=re.compile("^Arm"))).to_be_disabled()
    page.goto("/hosts/cp1/retire")
    expect(page.locator("form.confirm button")).to_be_disabled()
    screenshot(page, "appliance-read-only")
    axe(page)


@pytest.mark.parametrize(
    "url", ["/", "/hosts/cp1", "/hosts/cp1/arm", "/machines", "/content", "/cluster", "/appliance"]
)
def test_no_form_of_a_change_can_be_sent_by_a_read_only_user(pages: Pages, url: str):
    page = log_in(pages, "bob", url)

    enabled = page.locator("form[method=post] button:not(:disabled)").all()
    actions = {each.evaluate(ACTION) for each in enabled}
    assert actions <= {"/logout", "/appliance/check", "/rack.csv"}
    expect(page.locator("#no-change")).to_contain_text("role read-only may not change anything")
    axe(page)


def test_a_form_that_a_read_only_user_sends_is_refused(pages: Pages):
    pages.expect("403")
    page = log_in(pages, "bob", "/appliance")
    page.evaluate(
        """() => {
          const form = document.createElement("form")
          form.method = "post"
          form.action = "/appliance/reload"
          form.append(document.querySelector("input[name=csrf]").cloneNode())
          document.body.append(form)
          form.submit()
        }"""
    )

    expect(page.get_by_role("alert")).to_contain_text("role read-only may not change anything")


def test_without_a_login_a_change_leads_to_the_login(pages: Pages):
    pages.expect("401")
    page = pages.open("/appliance")

    expect(page.locator(".who").get_by_role("link", name="Log in")).to_have_attribute("href", "/login?next=/appliance")
    expect(page.get_by_role("button", name="Reload files")).to_be_disabled()


def test_too_many_wrong_logins_are_limited_with_the_time_to_wait(pages: Pages, rack: Rack):
    pages.expect("401|429")
    page = pages.open("/login")
    for _ in range(31):
        submit(page, "carol", WRONG)
        expect(page.get_by_role("alert")).to_be_visible()
        if "too many" in page.get_by_role("alert").inner_text():
            break

    expect(page.get_by_role("alert")).to_have_text(re.compile(r"too many logins failed; try again in \d+ s"))
    screenshot(page, "login-limited")
    rack.stop()  # the limits are in memory
    rack.start()

"""A page of another origin, open in a browser on the appliance, changes nothing and reads nothing there.

Another port of the same address is the same site, so a browser sends the cookies of this appliance with its requests.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from fixtures.browser import LOOPBACK, Pages
from fixtures.hostile_site import HostileSite, hostile_site
from fixtures.rack import Rack
from playwright.sync_api import Page

pytestmark = pytest.mark.integration

SAME_SITE, OTHER_SITE = "http://127.0.0.1:9000", "http://other.test:9000"
ARM: Final = '{"hosts": ["cp1"], "reason": "hostile", "force": true}'
FAULTS: Final = (
    r"403|net::ERR_|blocked|Refused to|violates|CORS|other\.test|Failed to load|potentially trustworthy|Opener-Policy"
)

FORMS: Final = {
    "urlencoded": "",
    "multipart": "multipart/form-data",
    "text": "text/plain",
}
SCRIPT: Final = """
async attempts => {
  const read = []
  for (const [url, options] of attempts) {
    try {
      const answer = await fetch(url, options)
      if (answer.type !== 'opaque') read.push([url, answer.status, await answer.text()])
    } catch { /* refused */ }
  }
  return read
}
"""


@pytest.fixture(scope="module")
def site(rack: Rack) -> Iterator[HostileSite]:
    with hostile_site(rack.server_namespace) as site:
        yield site


def is_armed(rack: Rack) -> bool:
    return bool(rack.api("/api/v1/hosts/cp1/install")["armed"])


def answers_to(page: Page) -> list[tuple[str, str, int]]:
    """Collect what the appliance answers to a page and its frames."""
    found: list[tuple[str, str, int]] = []
    page.on(
        "response",
        lambda answer: (
            found.append((answer.request.method, answer.url, answer.status)) if ":8470" in answer.url else None
        ),
    )
    return found


@pytest.mark.parametrize("origin", [SAME_SITE, OTHER_SITE])
@pytest.mark.parametrize("encoding", FORMS)
def test_a_form_of_another_origin_is_refused(pages: Pages, rack: Rack, site: HostileSite, origin: str, encoding: str):
    pages.expect(FAULTS)
    for path in ("/api/v1/installs/arm", "/installs/arm", "/hosts/cp1/arm"):
        site.html = (
            f"<form method=post action='{LOOPBACK}{path}' enctype='{FORMS[encoding]}'>"
            f"<input name='{ARM[:-1]}, \"x\": \"' value='\"}}'><input name=host value=cp1><button>win</button></form>"
        )
        page = pages.context().new_page()
        page.goto(origin)
        answers = answers_to(page)
        with page.expect_navigation():
            page.get_by_role("button").click()

        assert answers[0] == ("POST", LOOPBACK + path, 403)
        assert [url for method, url, _ in answers if method != "GET"] == [LOOPBACK + path]
    assert not is_armed(rack)


@pytest.mark.parametrize("origin", [SAME_SITE, OTHER_SITE])
def test_a_script_of_another_origin_reads_and_changes_nothing(pages: Pages, rack: Rack, site: HostileSite, origin: str):
    pages.expect(FAULTS)
    site.html = "<p>hostile"
    page = pages.context().new_page()
    page.goto(origin)
    answers = answers_to(page)
    changes = [f"{LOOPBACK}/api/v1/installs/arm", f"{LOOPBACK}/hosts/cp1/arm"]
    views = [LOOPBACK, *(f"{LOOPBACK}/api/v1/{view}" for view in ("hosts", "events", "session", "openapi.json"))]
    options = [
        {"method": "POST", "mode": "no-cors", "credentials": "include", "body": ARM},
        {"method": "POST", "headers": {"Content-Type": "application/json"}, "credentials": "include", "body": ARM},
    ]
    attempts = [[url, each] for url in changes for each in options]
    attempts += [[url, {"mode": mode, "credentials": "include"}] for url in views for mode in ("no-cors", "cors")]

    assert page.evaluate(SCRIPT, attempts) == []
    assert {status for _, _, status in answers} == {403}
    assert not is_armed(rack)


@pytest.mark.parametrize("origin", [SAME_SITE, OTHER_SITE])
@pytest.mark.parametrize("sandbox", ["", "sandbox='allow-scripts allow-forms'"])
def test_pages_are_shown_in_no_frame_and_no_image(
    pages: Pages, rack: Rack, site: HostileSite, origin: str, sandbox: str
):
    pages.expect(FAULTS)
    site.html = f"<iframe {sandbox} src='{LOOPBACK}/'></iframe><img src='{LOOPBACK}/hosts/cp1/arm'>"
    site.html += f"<img src='{LOOPBACK}/static/icon.svg'><script src='{LOOPBACK}/static/live.js'></script>"
    page = pages.context().new_page()
    answers = answers_to(page)
    page.goto(origin)
    page.wait_for_load_state("networkidle")

    assert {status for _, _, status in answers} == {403}
    assert page.evaluate("[...document.images].map(each => each.naturalWidth)") == [0, 0]
    assert all("Rack" not in frame.content() for frame in page.frames)


@pytest.mark.parametrize("origin", [SAME_SITE, OTHER_SITE])
def test_a_link_of_another_origin_opens_a_page_that_it_cannot_read(pages: Pages, site: HostileSite, origin: str):
    """As the link in a message of a hook."""
    pages.expect(FAULTS)
    site.html = f"<a href='{LOOPBACK}/hosts/cp1'>follow</a><button>open</button>"
    page = pages.context().new_page()
    page.goto(origin)
    opened = page.evaluate(f"() => {{ window.ours = window.open('{LOOPBACK}/'); }}")
    page.wait_for_timeout(500)
    readable = page.evaluate("() => { try { return window.ours.document.title } catch (error) { return error.name } }")
    page.get_by_role("link").click()

    assert opened is None
    assert "Rack" not in str(readable)
    assert page.locator("h1").inner_text() == "cp1"


def test_a_name_that_is_bound_to_our_address_later_is_refused(pages: Pages, rack: Rack):
    """A page of rebound.test reads answers of its own origin: the name must not be ours."""
    pages.expect(FAULTS)
    page = pages.context().new_page()
    answer = page.goto("http://rebound.test:8470/")
    assert answer is not None

    read = page.evaluate(SCRIPT, [["/api/v1/hosts", {}], ["/api/v1/installs/arm", {"method": "POST", "body": ARM}]])

    assert answer.status == 403
    assert [status for _, status, _ in read] == [403, 403]
    assert "cp1" not in str(read)
    assert not is_armed(rack)

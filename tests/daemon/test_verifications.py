"""Verifications by a running daemon: of sound and damaged content, with their verdicts, one at a time."""

import json
from typing import Any

import pytest
from fixtures.daemon import LOW_PRIORITY_S, wait_until
from fixtures.html_page import HtmlPage
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

PATH = "/api/v1/content/verifications"
RELEASE = "ock-1.31-amd64"


def verified(rack: Rack, **body: Any) -> dict[str, Any]:
    """Begin a verification and wait for its end."""
    begun = rack.api(PATH, "-X", "POST", "-d", json.dumps(body))
    assert begun["state"] == "running", begun

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = rack.api(PATH)[0]
        assert found["id"] == begun["id"]
        return found if found["state"] != "running" else None

    return wait_until(ended, timeout_s=LOW_PRIORITY_S)


def test_content_is_verified_and_damage_is_named_as_by_the_command(rack: Rack):
    sound = verified(rack, name=RELEASE)
    objects = rack.directory / "content/ostree" / RELEASE / "objects"
    damaged = next(path for path in sorted(objects.rglob("*.filez")))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    found = verified(rack)
    printed = json.loads(rack.run("content", "verify", "--json").stdout)

    assert (sound["state"], sound["name"], sound["error"]) == ("done", RELEASE, None)
    assert [(verdict["name"], verdict["ok"]) for verdict in sound["verdicts"]] == [(RELEASE, True)]
    assert (found["state"], found["name"], found["verdicts"]) == ("done", None, printed)
    (release,) = (verdict for verdict in printed if verdict["name"] == RELEASE)
    assert list(release["faults"]) == [str(damaged.relative_to(objects.parent))]
    events = rack.lines("content.verified")
    assert [(line["subject"], line["is_sound"]) for line in events] == [(RELEASE, True), ("all content", False)]


def test_a_verification_that_runs_is_cancelled_and_refuses_another(rack: Rack):
    begun = rack.api(PATH, "-X", "POST")
    refused = rack.api(PATH, "-X", "POST")
    cancelled = rack.api(f"{PATH}/{begun['id']}", "-X", "DELETE")

    assert (refused["status"], refused["code"]) == (409, "content-refused")
    assert refused["error"] == "all content is being verified now; wait until that has ended, or cancel it"
    assert (cancelled["state"], cancelled["actor"]) == ("cancelled", "uid 0")
    assert verified(rack, name=RELEASE)["state"] == "done"


def test_the_page_of_content_refuses_a_verification_while_another_runs(rack: Rack):
    shown = HtmlPage(rack.curl_api("/content").body)
    forms = {form.action: form.body().decode() for form in shown.forms}
    of_all, of_one = "/content/-/verify", f"/content/{RELEASE}/verify"
    begun = rack.curl_api("-d", forms[of_all], of_all)
    refused = rack.curl_api("-H", "Accept: text/html", "-d", forms[of_one], of_one)
    reason = "all content is being verified now; wait until that has ended, or cancel it"
    meanwhile = HtmlPage(rack.curl_api("/content").body)

    assert (begun.status, refused.status) == (303, 409)
    assert HtmlPage(refused.body).texts("div", role="alert") == [reason]
    assert [(each["name"], each["actor"]) for each in rack.api(PATH)] == [(None, "a process on 127.0.0.1")]
    assert not {of_all, of_one} & {form.action for form in meanwhile.forms}
    assert f"/content/-/verifications/{rack.api(PATH)[0]['id']}/cancel" in {form.action for form in meanwhile.forms}

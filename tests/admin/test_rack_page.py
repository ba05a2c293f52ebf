"""The first page and the confirmations on the whole appliance: what is shown, done and refused, without scripts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fixtures.html_page import HtmlPage
from safety.appliance import Appliance, Response, link_shared
from safety.declared import AT_FIRST

from netboot.admin.pages.shell import Flash

HTML = ("Host: localhost", "Accept: text/html")
FORM = (*HTML, "Content-Type: application/x-www-form-urlencoded")
MARKUP = "<script>alert(1)</script>"
OLD1 = {"role": "worker", "mac": "52:54:00:aa:00:97", "disk": {"serial": "S1"}}


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    link_shared(shared, tmp_path)
    (tmp_path / "hosts.d").mkdir()
    box = Appliance(tmp_path, AT_FIRST.text(), files="hosts.yaml, hosts.d", unknown="wait")
    yield box
    box.close()


def get(box: Appliance, path: str, *, status: int = 200) -> HtmlPage:
    answer = box.administration("GET", path, headers=HTML)
    assert answer.status == status, answer.body
    return HtmlPage.of(answer.body)


def post(box: Appliance, path: str, body: bytes) -> Response:
    return box.administration("POST", path, body, headers=FORM)


def confirm(box: Appliance, path: str, **filled: str) -> Response:
    """Fill in the form of a confirmation and send it."""
    (form,) = get(box, path).forms
    return post(box, path.partition("?")[0], form.body(**filled))


def armed(box: Appliance) -> dict[str, bool]:
    return {each["host"]: each["armed"] for each in box.api("GET", "/installs").json()}


def reasons(box: Appliance, host: str, verb: str) -> list[str]:
    actions: list[dict[str, Any]] = box.api("GET", f"/hosts/{host}/actions").json()
    return next(each["reasons"] for each in actions if each["verb"] == verb)


def test_the_page_has_a_row_for_each_host_and_the_counts(box: Appliance):
    assert box.arm("cp1", force=True) == 200

    page = get(box, "/")

    names = [each["name"] for each in box.api("GET", "/hosts").json()]
    assert [each.attributes["value"] for each in page.find("input", name="host")] == sorted(names)
    assert page.texts("a", class_="count")[:2] == [f"{len(names)} hosts", "1 armed"]
    assert page.texts("caption") == []


def test_a_filter_of_the_url_is_kept_in_form_links_and_selection(box: Appliance):
    page = get(box, "/?q=cp&sort=mac&order=desc")

    rows = [each.attributes["value"] for each in page.find("input", name="host")]
    filters, selection = page.forms
    assert rows == sorted(rows, reverse=True)
    assert all(name.startswith("cp") for name in rows)
    assert dict(filters.fields) == {"q": "cp", "sort": "mac", "order": "desc"}
    assert dict(selection.fields)["back"] == "/?q=cp&sort=mac&order=desc"


def test_hostile_text_of_the_url_is_text(box: Appliance):
    answer = box.administration("GET", f"/?q={quote(MARKUP)}&label={quote(MARKUP)}&state={quote(MARKUP)}", headers=HTML)

    assert answer.status == 200
    assert MARKUP.encode() not in answer.body
    (search,) = HtmlPage.of(answer.body).find("input", id="q")
    assert search.attributes["value"] == MARKUP


def test_while_the_store_fails_the_page_shows_its_fault_and_what_the_memory_has(box: Appliance):
    assert box.arm("cp1", force=True) == 200
    with box.failing_store():
        page = get(box, "/")

    (notice,) = page.texts("div", class_="bad", role="alert")
    assert notice.startswith("The store does not answer")
    assert "1 armed" in page.texts("a", class_="count")


def test_hosts_are_armed_from_the_form(box: Appliance):
    answer = confirm(box, "/installs/arm?host=cp1&host=cp2&back=/%3Fq%3Dcp", reason="from the page", force="1")

    assert (answer.status, answer.headers["location"]) == (303, "/?q=cp")
    assert {name for name, is_armed in armed(box).items() if is_armed} == {"cp1", "cp2"}
    (move,) = box.api("GET", "/hosts/cp1/history").json()
    assert (move["what"], move["note"], move["source"]) == ("armed", "from the page", move["source"])


def test_a_selection_that_is_too_long_for_a_url_is_shown_and_changes_nothing(box: Appliance):
    *_, selection = get(box, "/").forms
    chosen = [("host", "cp1"), ("host", "cp2")] * 400
    selection.fields += chosen

    shown = post(box, "/installs/arm", selection.body())

    page = HtmlPage.of(shown.body)
    assert (shown.status, page.texts("h1"), armed(box)) == (200, ["Arm 2 hosts"], {})
    (form,) = page.forms
    assert post(box, "/installs/arm", form.body(force="1")).status == 303
    assert set(armed(box)) == {"cp1", "cp2"}


def test_a_selection_is_exported_by_the_form_too(box: Appliance):
    *_, selection = get(box, "/").forms
    selection.fields.append(("host", "w1"))

    answer = post(box, "/rack.csv", selection.body())

    assert [line.split(",")[0] for line in answer.body.decode().splitlines()] == ["name", "w1"]


def test_a_form_without_its_token_changes_nothing(box: Appliance):
    (form,) = get(box, "/hosts/cp1/arm").forms

    refused = post(box, "/hosts/cp1/arm", form.body(csrf="x", force="1"))

    assert refused.status == 403
    assert armed(box) == {}


def test_a_refused_form_has_the_status_and_the_sentences_of_the_api(box: Appliance):
    assert box.api("POST", "/rescues", {"hosts": ["cp1"]}).status == 200

    by_page = confirm(box, "/hosts/cp1/arm", force="1")
    by_api = box.api("POST", "/hosts/cp1/arm", {"force": False})

    assert (by_page.status, by_api.status) == (409, 409)
    shown = HtmlPage.of(by_page.body).texts("li")
    assert [each for each in by_api.json()["reasons"] if " ".join(each.split()) not in shown] == []
    assert armed(box) == {}


def test_what_the_page_did_not_show_is_not_confirmed(box: Appliance):
    (form,) = get(box, "/hosts/cp1/arm").forms

    refused = post(box, "/hosts/cp1/arm", form.body(seen="0", force="1"))

    assert refused.status == 422
    assert "A host changed since this page was made." in refused.body.decode()
    assert armed(box) == {}


@pytest.mark.parametrize("attempts", ["0", "101", "x", "1e1"])
def test_a_wrong_number_of_attempts_is_refused(box: Appliance, attempts: str):
    refused = confirm(box, "/hosts/cp1/arm", attempts=attempts, force="1")

    assert refused.status == 422
    assert "attempts is a whole number from 1 to 100" in refused.body.decode()
    assert armed(box) == {}


def test_no_selection_an_unknown_host_and_an_unknown_action_are_refused(box: Appliance):
    assert box.administration("GET", "/installs/arm", headers=HTML).status == 400
    assert box.administration("GET", "/installs/arm?host=nobody", headers=HTML).status == 404
    assert box.administration("GET", "/installs/explode?host=cp1", headers=HTML).status == 404
    many = "&".join(f"host=n{number}" for number in range(101))
    assert box.administration("GET", f"/installs/remove?{many}", headers=HTML).status == 400


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_a_confirmation_leads_to_no_other_site(box: Appliance, back: str):
    page = get(box, f"/installs/arm?host=cp1&back={quote(back, safe='')}")

    assert [each.attributes["href"] for each in page.find("a", class_="button")] == ["/"]


def test_an_arming_is_cancelled_and_hosts_that_are_not_armed_are_left_out(box: Appliance):
    assert box.arm("cp1", force=True) == 200
    refused = confirm(box, "/hosts/cp2/cancel")
    assert (refused.status, armed(box)) == (409, {"cp1": True})
    assert reasons(box, "cp2", "cancel")[0] in HtmlPage.of(refused.body).texts("li")

    answer = confirm(box, "/installs/cancel?host=cp1&host=cp2", reason="not today")

    assert (answer.status, armed(box)) == (303, {"cp1": False})


def test_machines_are_inspected_rescued_and_the_rescue_is_cancelled(box: Appliance):
    assert confirm(box, "/installs/inspect?host=cp1&host=cp2").status == 303
    requests = [each["next_boot"] and each["next_boot"]["kind"] for each in box.api("GET", "/hosts").json()]
    assert requests.count("inspect") == 2
    assert confirm(box, "/hosts/cp1/rescue").headers["location"] == "/hosts/cp1"
    assert confirm(box, "/hosts/cp1/cancel-rescue").status == 303
    assert box.api("GET", "/hosts/cp1/install").json()["next_boot"] is None


def test_a_host_is_removed_and_one_that_a_person_declared_is_refused(box: Appliance):
    assert box.api("POST", "/hosts", {"name": "old1", "values": OLD1}).status == 201

    removed = confirm(box, "/hosts/old1/remove", reason="gone")
    refused = confirm(box, "/hosts/cp1/remove")

    assert (removed.status, removed.headers["location"]) == (303, "/")
    assert "old1" not in [each["name"] for each in box.api("GET", "/hosts").json()]
    assert refused.status == 409
    assert reasons(box, "cp1", "remove")[0] in HtmlPage.of(refused.body).texts("li")


def test_a_disk_is_wiped_only_if_the_name_is_typed(box: Appliance):
    assert box.api("POST", "/hosts", {"name": "old1", "values": OLD1}).status == 201

    untyped = confirm(box, "/hosts/old1/wipe", confirm="old")
    assert (untyped.status, "Type old1 to confirm" in untyped.body.decode()) == (422, True)
    typed = confirm(box, "/hosts/old1/wipe", confirm="old1")

    assert typed.status == 303
    assert "old1" not in [each["name"] for each in box.api("GET", "/hosts").json()]


def test_of_several_hosts_those_that_were_removed_before_one_is_refused_are_named(box: Appliance):
    assert box.api("POST", "/hosts", {"name": "old1", "values": OLD1}).status == 201
    assert (
        box.api(
            "POST", "/hosts", {"name": "old2", "values": {**OLD1, "role": "control-plane", "mac": "52:54:00:aa:00:96"}}
        ).status
        == 201
    )
    text = AT_FIRST.text()
    box.edit_hosts(text.replace("init: cp1", "init: old2"))
    assert box.reload() == 200

    done = confirm(box, "/installs/remove?host=old1&host=old2")
    message = Flash.of_cookie(done.headers["set-cookie"].split("=", 1)[1].split(";")[0].strip('"'))

    assert done.status == 303
    assert message is not None
    assert message.kind == "warning"
    assert message.text.startswith("old1 removed; not old2: ")
    assert {"old1", "old2"} & {each["name"] for each in box.api("GET", "/hosts").json()} == {"old2"}


def test_the_selected_hosts_are_exported(box: Appliance):
    answer = box.administration("GET", "/rack.csv?host=cp2&host=cp1")

    assert [line.split(",")[0] for line in answer.body.decode().splitlines()] == ["name", "cp1", "cp2"]
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(box.administration("GET", "/rack.csv?q=nothing-has-this").body.splitlines()) == 1


def test_the_page_of_a_host_leads_to_an_arming_that_force_alone_permits(box: Appliance):
    text = AT_FIRST.text()
    box.edit_hosts(text.replace("release: ock-1.31-amd64", "release: missing"))
    assert box.reload() == 200

    page = get(box, "/hosts/cp1")
    forced = confirm(box, "/hosts/cp1/arm", force="1")

    assert [each.text for each in page.find("a", href="/hosts/cp1/arm")] != []
    assert (forced.status, armed(box)["cp1"]) == (303, True)


def test_a_rescue_offers_the_boot_media(box: Appliance):
    page = get(box, "/hosts/cp1/rescue")

    media = box.api("GET", "/status").json()["media"]
    assert page.texts("option")[1:] == media
    assert confirm(box, "/hosts/cp1/rescue", medium=media[0]).status == 303
    assert box.api("GET", "/hosts/cp1/install").json()["next_boot"]["medium"] == media[0]

"""The page of rollouts on the whole appliance in one process, without scripts: plan, start, changes, and refusals."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures.html_page import Form, HtmlPage
from safety.appliance import Appliance, Response, link_shared
from safety.declared import A1, A2, AT_FIRST

from netboot.admin.pages.rollout.rollout_requests import RolloutRequests
from netboot.model.access.access_rule import Need

HTML = ("Host: localhost", "Accept: text/html")
FORM = (*HTML, "Content-Type: application/x-www-form-urlencoded")


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    link_shared(shared, tmp_path)
    box = Appliance(tmp_path, AT_FIRST.text().replace("cp1: {", "cp1: {labels: {rack: r7, unit: '12'}, "))
    yield box
    box.close()


def get(box: Appliance, path: str, *, status: int = 200) -> HtmlPage:
    answer = box.administration("GET", path, headers=HTML)
    assert answer.status == status, answer.body
    return HtmlPage.of(answer.body)


def form_of(page: HtmlPage, action: str) -> Form:
    return next(form for form in page.forms if form.action == action and form.method == "post")


def send(box: Appliance, page: HtmlPage, action: str, path: str = "", **filled: str) -> Response:
    """Send a form of a page."""
    return box.administration("POST", path or action, form_of(page, action).body(**filled), headers=FORM)


def begun(box: Appliance, query: str = "") -> HtmlPage:
    """Start the planned rollout by its form; return the page after it."""
    path = f"/rollout{query}"
    answer = send(box, get(box, path), path)
    assert (answer.status, answer.headers["location"]) == (303, "/rollout")
    box.advance(2)
    return get(box, "/rollout")


def newest(box: Appliance) -> dict[str, Any]:
    found: dict[str, Any] = box.api("GET", "/rollouts/newest").json()
    return found


def phases(box: Appliance) -> dict[str, str]:
    return {each["host"]: each["phase"] for each in newest(box)["hosts"]}


def rows(page: HtmlPage) -> list[str]:
    return [text for text in page.texts("tr") if text]


def notices(page: HtmlPage) -> str:
    return " ".join(page.texts("div", class_="notice") + page.texts("p", class_="notice"))


def test_without_a_rollout_the_plan_is_shown_as_the_api_has_it(box: Appliance):
    page = get(box, "/rollout")

    plan = box.api("POST", "/rollouts/plan", {}).json()
    assert plan["refusals"] == []
    assert [warning for warning in plan["warnings"] if warning not in notices(page)] == []
    shown = [text for text in rows(page) if text.startswith(("cp", "w1"))]
    assert [text.split()[0] for text in shown] == [each["host"] for each in plan["schedule"]["hosts"]]
    assert shown[0].startswith("cp1 first node at once +")
    assert "The disks of 3 hosts are wiped: cp1, cp2, w1." in page.texts("p")
    assert page.texts("button", class_="danger") == ["Start"]
    assert [each.text for each in page.elements if each.attributes.get("aria-current") == "page"] == ["Rollout"]


def test_a_plan_that_may_not_begin_has_the_sentences_of_the_api_beside_its_button(box: Appliance):
    page = get(box, "/rollout?hosts=w1")

    refusals = box.api("POST", "/rollouts/plan", {"hosts": ["w1"]}).json()["refusals"]
    assert refusals == ["cp1, which starts the cluster, is not ready; add it to the rollout"]
    assert page.texts("div", class_="refused") == [f"Start {refusals[0]}"]
    assert [each.text for each in page.find("button") if "disabled" in each.attributes] == ["Start"]
    assert [form.method for form in page.forms] == ["get"]


def test_a_plan_of_a_replacement_shows_what_removes_the_node_as_the_api_has_it(box: Appliance):
    page = get(box, "/rollout?replace=w1")

    drain, reset, delete = box.api("POST", "/rollouts/plan", {"replace": "w1"}).json()["removal"]
    assert drain.startswith("run kubectl drain w1 ")
    shown = [text for text in rows(page) if text.startswith(("drain", "reset", "delete"))]
    assert [text.rpartition(" +")[0] for text in shown] == [f"drain {drain}", f"reset {reset}", f"delete {delete}"]


def test_a_plan_with_refusals_begins_nothing_without_a_confirmation(box: Appliance):
    csrf = form_of(get(box, "/rollout"), "/rollout").fields[0][1]
    refused = box.administration("POST", "/rollout?hosts=w1", f"csrf={csrf}".encode(), headers=FORM)

    assert refused.status == 409
    assert "cp1, which starts the cluster, is not ready; add it to the rollout" in notices(HtmlPage.of(refused.body))
    assert box.api("GET", "/rollouts").json() == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("?hosts=nowhere", "no host is called nowhere"),
        ("?max_parallel=0", "at a time is a whole number from 1 to 500"),
    ],
)
def test_options_that_are_no_request_are_refused_with_a_sentence(box: Appliance, query: str, fault: str):
    page = get(box, f"/rollout{query}")
    csrf = form_of(get(box, "/rollout"), "/rollout").fields[0][1]
    refused = box.administration("POST", f"/rollout{query}", f"csrf={csrf}".encode(), headers=FORM)

    assert fault in notices(page)
    assert (refused.status, fault in notices(HtmlPage.of(refused.body))) == (422, True)
    assert box.api("GET", "/rollouts").json() == []


def test_a_rollout_is_begun_with_the_options_that_were_shown(box: Appliance):
    page = begun(box, "?max_parallel=2&failure_budget=1&no_power=1")

    found = newest(box)
    assert found["options"] == {"max_parallel": 2, "failure_budget": 1, "power": False}
    assert found["hosts"][0]["phase"] == "needs-person"
    assert page.texts("h2")[:3] == ["Rollout 1", "A person is needed", "Order"]
    person = next(text for text in rows(page) if A1 in text)
    assert person.startswith(f"cp1 {A1}, {A2} rack=r7 unit=12 power the machine on")
    assert [text.split(" ", 2)[:2] for text in page.texts("li", class_="waiting")] == [
        ["API", "answers"],
        ["Second", "start"],
    ]


def test_hosts_that_changed_since_the_plan_was_shown_are_not_wiped(box: Appliance):
    page = get(box, "/rollout")
    box.edit_hosts(AT_FIRST.text().replace("/dev/vda", "/dev/vdb"))
    assert box.api("POST", "/reload", {}).status == 200

    answer = send(box, page, "/rollout")

    assert answer.status == 422
    assert "A host changed since this page was made." in notices(HtmlPage.of(answer.body))
    assert box.api("GET", "/rollouts").json() == []


def test_a_second_start_is_refused(box: Appliance):
    page = get(box, "/rollout")
    assert send(box, page, "/rollout").status == 303
    again = send(box, page, "/rollout")

    refusal = box.api("POST", "/rollouts", {}).json()["detail"]
    assert refusal.startswith("rollout 1 is active, and there is one at a time")
    assert again.status == 409
    assert all(line in notices(HtmlPage.of(again.body)) for line in refusal.splitlines())
    assert len(box.api("GET", "/rollouts").json()) == 1


def test_a_reason_is_kept_as_one_line_of_limited_length(box: Appliance):
    missing = box.api("GET", "/rollouts/newest")
    begun(box)

    paused = box.api("POST", "/rollouts/active/pause", {"reason": "a\r\n\x1b[2Jb" + "c" * 1000}).json()
    cancelled = box.api("POST", "/rollouts/active/cancel", {"hosts": ["w1"], "reason": "x" * 1000}).json()

    assert (missing.status, missing.json()["code"]) == (404, "rollout-unknown")
    assert (len(paused["reason"]), paused["reason"].isprintable()) == (500, True)
    assert [len(each["reason"]) for each in cancelled["hosts"] if each["host"] == "w1"] == [500]


def test_a_rollout_is_paused_and_resumed(box: Appliance):
    page = begun(box)
    paused = send(box, page, "/rollout/pause")
    page = get(box, "/rollout")

    assert paused.status == 303
    assert newest(box)["state"] == "paused"
    assert "It begins nothing new: by an operator" in notices(page)
    refusal = box.api("POST", "/rollouts/active/pause", {}).json()["detail"]
    assert f"Pause {refusal}" in page.texts("span", class_="refused")

    assert send(box, page, "/rollout/resume").status == 303
    assert newest(box)["state"] == "running"


def test_a_host_leaves_the_rollout_and_comes_back(box: Appliance):
    begun(box)
    confirmation = get(box, "/rollout/cancel?host=w1")
    cancelled = send(box, confirmation, "", "/rollout/cancel", reason="another day")
    box.advance(2)
    page = get(box, "/rollout")

    assert cancelled.status == 303
    assert phases(box)["w1"] == "cancelled"
    assert any(text.startswith("w1 worker cancelled") and "another day" in text for text in rows(page))
    refused = get(box, "/rollout/cancel?host=w1", status=409)
    assert "cannot cancel w1 in the rollout: it is cancelled" in " ".join(refused.texts("main"))

    retry = get(box, "/rollout/retry?host=w1")
    assert send(box, retry, "", "/rollout/retry").status == 303
    box.advance(2)
    assert [each["attempts"] for each in newest(box)["hosts"]] == [1, 1, 2]


def test_a_cancelled_rollout_is_the_last_one_and_leads_to_the_next_plan(box: Appliance):
    begun(box)
    assert send(box, get(box, "/rollout/cancel"), "", "/rollout/cancel").status == 303
    box.advance(4)
    page = get(box, "/rollout")

    assert newest(box)["state"] == "cancelled"
    assert page.texts("h2") == ["Plan", "Start", "Schedule", "Commands", "Last rollout"]
    assert "0 of 3 hosts became ready." in notices(page)
    assert all(not form.action.startswith("/rollout/") for form in page.forms)


@pytest.mark.parametrize("path", ["/rollout/cancel", "/rollout/retry?host=w1", "/rollout/commands"])
def test_what_is_of_an_active_rollout_is_refused_without_one(box: Appliance, path: str):
    page = get(box, path, status=409)

    assert "no rollout is active; netboot cluster rollout begins one" in " ".join(page.texts("main"))


def test_a_rollout_that_waits_for_a_person_needs_attention_on_the_first_page(box: Appliance):
    assert get(box, "/").texts("li", class_="warning") == []
    begun(box)
    shown = get(box, "/").texts("li", class_="warning")

    assert any(text.startswith("rollout 1 cp1, cp2, w1 wait for a person") for text in shown), shown


def test_the_commands_with_secrets_are_only_for_whoever_may_change_something():
    assert RolloutRequests.show_commands.__dict__["access_need"] is Need.CHANGE


def test_an_active_rollout_ends_when_its_plan_has_it_and_a_pause_leaves_no_end(box: Appliance):
    plan = box.api("POST", "/rollouts/plan", {"power": False}).json()["schedule"]
    page = begun(box, "?no_power=1")
    found = newest(box)

    planned = {
        each["host"]: {key: each[key] for key in ("installed_at", "join_at", "ready_at")} for each in plan["hosts"]
    }
    late_s = (moment(found["expected_end_at"]) - moment(plan["ends_at"])).total_seconds()
    assert 0 <= late_s <= 3
    for each in found["hosts"]:
        expected = each["expected"]
        assert expected.pop("install_at") is None
        for key, at in planned[each["host"]].items():
            assert 0 <= (moment(expected[key]) - moment(at)).total_seconds() <= late_s
    assert "Expected to end in" in " ".join(page.texts("p"))

    send(box, page, "/rollout/pause")
    paused = get(box, "/rollout")
    assert newest(box)["expected_end_at"] is None
    reason = "the rollout is paused, and what has not begun waits for netboot cluster rollout resume"
    assert newest(box)["no_expected_end"] == reason
    assert f"It has no expected end: {reason}." in paused.texts("p")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

"""What the forms of users and API tokens refuse, on the whole appliance in one process; tests/browser has the rest."""

from collections.abc import Iterator

import pytest
from fixtures.access import PASSWORD
from fixtures.html_page import HtmlPage
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import AT_FIRST

FORM = ("Host: localhost", "Accept: text/html", "Content-Type: application/x-www-form-urlencoded")
ADMIN = {"role": "admin"}
TWICE = {"password": PASSWORD, "again": PASSWORD}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance with the user alice and the API token ci."""
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    assert box.api("POST", "/users", {"name": "alice", "role": "admin", "password": PASSWORD}).status == 201
    assert box.api("POST", "/tokens", {"name": "ci", "role": "read-only"}).status == 201
    yield box
    box.close()


def get(box: Appliance, path: str) -> Response:
    return box.administration("GET", path, headers=FORM[:2])


def post(box: Appliance, path: str, **fields: str) -> tuple[int, HtmlPage]:
    """Send a form with the token of the page."""
    (form, *_) = HtmlPage.of(get(box, "/users").body).forms
    answer = box.administration("POST", path, form.body(**fields), headers=FORM)
    return answer.status, HtmlPage.of(answer.body)


def test_each_user_and_token_is_listed(box: Appliance):
    page = HtmlPage.of(get(box, "/users").body)

    assert page.texts("th", scope="row")[:2] == ["alice", "ci"]


@pytest.mark.parametrize(
    ("path", "fields", "status", "sentence"),
    [
        ("/users", ADMIN | TWICE | {"name": "alice"}, 409, "cannot add alice: the user exists; netboot user set alice"),
        ("/users", TWICE | {"name": "bob", "role": "root"}, 400, "role is admin or read-only"),
        ("/users", ADMIN | TWICE | {"again": "x"}, 400, "the two passwords differ; nothing was changed"),
        ("/users/alice/set", {}, 409, "nothing to change; give a role or a password"),
        ("/users/nobody/set", ADMIN, 404, "no user is called nobody; netboot user list shows them"),
        ("/users/nobody/remove", {}, 404, "no user is called nobody; netboot user list shows them"),
        ("/users/alice/logins/0/end", {}, 404, "alice has no such login; it may have ended by itself"),
        ("/tokens", ADMIN | {"name": "t", "days": "8"}, 400, "days is how long the token is valid"),
        ("/tokens", {"name": "t", "days": "7", "role": ""}, 400, "role is admin or read-only"),
        ("/tokens/nothing/revoke", {}, 404, "no API token is called nothing; netboot token list shows them"),
    ],
)
def test_a_refused_form_changes_nothing_and_has_its_reason(
    box: Appliance, path: str, fields: dict[str, str], status: int, sentence: str
):
    before = [box.api("GET", path).json() for path in ("/users", "/tokens")]

    answer, page = post(box, path, **fields)

    alerts = [text for tag in ("p", "div") for text in page.texts(tag, role="alert")]
    assert (answer, alerts) == (status, [sentence])
    assert [box.api("GET", path).json() for path in ("/users", "/tokens")] == before


def test_a_refused_name_stays_in_its_form(box: Appliance):
    user = post(box, "/users", **ADMIN, **TWICE, name="alice")[1]
    status, token = post(box, "/tokens", **ADMIN, name="ci", days="7")

    assert status == 409
    assert [each.attributes["value"] for page in (user, token) for each in page.find("input", maxlength="32")] == [
        "alice",
        "",
    ]
    assert [each.attributes["value"] for each in token.find("input", id="token-name")] == ["ci"]


def test_what_is_removed_or_revoked_is_shown_and_what_is_not_there_is_refused(box: Appliance):
    paths = ("/users/alice/remove", "/tokens/ci/revoke", "/users/nobody/remove", "/tokens/nothing/revoke")
    answers = [get(box, path) for path in paths]

    assert [each.status for each in answers] == [200, 200, 404, 404]
    assert [HtmlPage.of(each.body).texts("h1") for each in answers[:2]] == [
        ["Remove user alice"],
        ["Revoke API token ci"],
    ]


def test_a_user_is_added_changed_and_removed(box: Appliance):
    done = [
        post(box, "/users", **TWICE, name=" dave ", role="read-only")[0],
        post(box, "/users/dave/set", **ADMIN)[0],
    ]
    users = {each["name"]: each["role"] for each in box.api("GET", "/users").json()}
    done.append(post(box, "/users/dave/remove")[0])

    assert (done, users) == ([303] * 3, {"alice": "admin", "dave": "admin"})
    assert [each["name"] for each in box.api("GET", "/users").json()] == ["alice"]


def test_a_token_that_never_expires_is_shown_once_and_revoked(box: Appliance):
    status, page = post(box, "/tokens", **ADMIN, name="forever", days="")
    (token,) = [text for text in page.texts("code") if text.startswith("nb_")]
    (kept,) = [each for each in box.api("GET", "/tokens").json() if each["name"] == "forever"]

    assert (status, kept["role"], kept["expires_at"]) == (200, "admin", None)
    assert token not in get(box, "/users").body.decode()
    assert post(box, "/tokens/forever/revoke")[0] == 303
    assert [each["name"] for each in box.api("GET", "/tokens").json()] == ["ci"]

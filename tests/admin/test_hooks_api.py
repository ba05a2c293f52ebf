"""Hooks are listed and tested by the API, on the whole appliance in one process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

HOOK = "hooks: [{name: pager, url: 'https://hooks.example.org/XYZZY', secret_file: none, events: [install.moved]}]\n"


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance that took a hook at a reload; its secret is missing, so nothing is sent."""
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    config = directory / "netboot.yaml"
    config.write_text(config.read_text() + HOOK)
    assert answer(box, "POST", "/reload")[0] == 200
    yield box
    box.close()


def answer(box: Appliance, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = box.api(method, path, body)
    found = response.json()
    return response.status, without_rfc_members(found, response.status)


def test_hooks_are_listed_without_the_secret_parts_of_their_url(box: Appliance):
    assert answer(box, "GET", "/hooks") == (
        200,
        [
            {
                "name": "pager",
                "state": "unused",
                "target": "https://hooks.example.org",
                "events": ["install.moved"],
                "signed": True,
                "waiting": 0,
                "oldest_at": None,
                "delivered_at": None,
                "failed_at": None,
                "error": None,
            }
        ],
    )


def test_the_outcome_of_a_test_is_an_answer_and_an_unknown_hook_is_not_found(box: Appliance):
    status, tested = answer(box, "POST", "/hooks/pager/test")
    unknown = answer(box, "POST", "/hooks/nobody/test")

    assert (status, tested["name"], tested["ok"]) == (200, "pager", False)
    assert tested["answer"].startswith(f"cannot read the secret {Path(box.directory)}/none: ")
    assert unknown == (404, {"error": "no hook is called nobody; those in force: pager", "code": "hook-unknown"})


def test_a_delivery_that_fails_is_shown(box: Appliance):
    assert answer(box, "POST", "/installs/arm", {"hosts": ["cp1"], "force": True})[0] == 200
    box.advance(2)

    ((status, (hook,))) = answer(box, "GET", "/hooks")

    assert (status, hook["state"], hook["waiting"]) == (200, "failing", 1)
    assert hook["error"].startswith("cannot read the secret ")

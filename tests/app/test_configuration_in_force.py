"""What a reload and a rescan put in force, and what they leave, on the whole appliance in one process."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST, RELEASES

from netboot.admin.json_views import json_view
from netboot.app.administration.api_description import api_description

OLD, NEW = RELEASES


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance where all hosts install the first release; its content is its own."""
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def post(box: Appliance, path: str, body: Any = None) -> tuple[int, Any]:
    response = box.api("POST", path, body)
    return response.status, response.json()


def problems(box: Appliance) -> list[str]:
    found: list[str] = box.api("GET", "/status").json()["problems"]
    return found


def state(box: Appliance, part: str) -> str:
    """Return the state of a part of the daemon."""
    parts = json.loads(box.administration("GET", "/readyz").body)["parts"]
    (found,) = [each["state"] for each in parts if each["part"] == part]
    return str(found)


def hosts(box: Appliance) -> list[str]:
    return [each["name"] for each in box.api("GET", "/hosts").json()]


def test_a_reload_puts_new_hosts_in_force_and_names_what_waits_for_a_restart(box: Appliance):
    box.edit_hosts(AT_FIRST.without("w1").text())
    config = box.directory / "netboot.yaml"
    config.write_text(config.read_text() + "tftp: {port: 6969}\n")

    status, reloaded = post(box, "/reload")

    assert (status, reloaded["hosts"], reloaded["needs_restart"]) == (200, 2, ["tftp"])
    assert reloaded["armings_ended"] == []
    assert hosts(box) == ["cp1", "cp2"]


def test_files_with_a_fault_leave_the_hosts_of_before_and_are_a_problem_until_they_are_sound(box: Appliance):
    before = problems(box)
    box.edit_hosts(AT_FIRST.without("w1").text() + "  w9: {role: worker, mac: none}\n")
    refused = post(box, "/reload")
    meanwhile = problems(box), hosts(box), state(box, "configuration")
    box.edit_hosts(AT_FIRST.without("w1").text())
    accepted = post(box, "/reload")

    assert refused[0] == 422
    (fault,) = [each for each in meanwhile[0] if each not in before]
    assert fault.startswith(f"{box.directory}/hosts.yaml:")
    assert "none" in fault
    assert meanwhile[1:] == (["cp1", "cp2", "w1"], "degraded")
    assert (accepted[0], problems(box), hosts(box)) == (200, before, ["cp1", "cp2"])


def test_a_release_that_is_gone_at_a_rescan_ends_the_arming_that_needs_another_and_comes_back(box: Appliance):
    release = box.directory / "content" / "ostree" / OLD
    assert box.arm("cp1", force=True) == 200
    away = release.rename(release.with_name(".away"))
    gone = post(box, "/content/rescan", {"kind": "release", "name": OLD})
    lacking = [each for each in problems(box) if "cp1" in each]
    away.rename(release)
    back = post(box, "/content/rescan")

    assert (gone[0], gone[1]["releases"]) == (200, [NEW])
    assert lacking != []
    assert (back[0], back[1]["releases"], back[1]["problems"]) == (200, [OLD, NEW], [])
    assert [each for each in problems(box) if "cp1" in each] == []


def test_the_description_without_a_daemon_is_the_one_that_a_daemon_serves(box: Appliance):
    served = box.api("GET", "/openapi.json").json()

    assert json_view(api_description()) == served

"""The boots of machines by the API of the whole appliance in one process."""

from collections.abc import Iterator

import pytest
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

NUMBER = {"error": "boot is a whole number: 0 is the last boot, -1 the one before, 1 the first", "code": "bad-request"}


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


@pytest.mark.parametrize("path", ["/boots", "/installs/cp1/boots"])
def test_without_a_boot_the_lists_are_empty(appliance: Appliance, path: str):
    response = appliance.api("GET", path)

    assert (response.status, response.json()) == (200, [])


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("cp1/boots/0", 404, "boot-unknown"),
        ("nosuch/boots", 404, "host-unknown"),
        ("nosuch/boots/0", 404, "host-unknown"),
    ],
)
def test_a_boot_that_is_not_kept_is_not_found(appliance: Appliance, path: str, status: int, code: str):
    response = appliance.api("GET", f"/installs/{path}")

    assert (response.status, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("number", ["x", "1.5", "9999999"])
def test_another_number_is_refused(appliance: Appliance, number: str):
    response = appliance.api("GET", f"/installs/cp1/boots/{number}")

    assert (response.status, without_rfc_members(response.json(), 400)) == (400, NUMBER)

"""The plan of a host and the places of its values, by the API of the whole appliance in one process."""

from collections.abc import Iterator

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def test_a_plan_has_the_documents_of_an_armed_host_without_its_tokens(appliance: Appliance):
    response = appliance.api("GET", "/hosts/cp1/plan")

    plan = response.json()
    assert (response.status, sorted(plan["ignition"])) == (200, ["merged", "overlay", "role", "wrapper"])
    assert "/ks/KICKSTART-TOKEN" in plan["script"]
    assert plan["offers"]["UEFI x64, PXE"].startswith("loader ")


def test_an_explanation_has_the_place_of_each_value_and_what_the_machine_gets_now(appliance: Appliance):
    response = appliance.api("GET", "/hosts/cp1/explain")

    found = response.json()
    role = next(value for value in found["values"] if value["key"] == "role")
    assert (response.status, role["value"], role["from"][0]["where"]) == (200, "control-plane", "hosts.cp1.role")
    assert found["install"]["state"] == "registered"
    assert found["offers"]["UEFI x64, PXE"] == "local-disk"
    assert (found["faults"], found["ignition"]) == ([], "url")


@pytest.mark.parametrize("what", ["plan", "explain"])
def test_an_unknown_host_is_not_found(appliance: Appliance, what: str):
    response = appliance.api("GET", f"/hosts/nosuch/{what}")

    assert (response.status, response.json()["code"]) == (404, "host-unknown")

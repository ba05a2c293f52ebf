"""The actions on a host by the API: the sentences of the 409 before the request, on the whole appliance."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safety.appliance import Appliance, link_shared
from safety.declared import AT_FIRST


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    link_shared(shared, tmp_path)
    box = Appliance(tmp_path, AT_FIRST.text(), files="hosts.yaml")
    yield box
    box.close()


def actions(box: Appliance, host: str) -> dict[str, Any]:
    return {each["verb"]: each for each in box.api("GET", f"/hosts/{host}/actions").json()}


def test_the_reasons_are_those_of_the_409(box: Appliance):
    assert box.api("POST", "/rescues", {"hosts": ["cp1"]}).status == 200

    arm = actions(box, "cp1")["arm"]
    refused = box.api("POST", "/hosts/cp1/arm", {"force": True})

    assert (refused.status, refused.json()["reasons"]) == (409, arm["reasons"][:1])
    assert (arm["refusal"], arm["is_forcible"]) == ("\n".join(arm["reasons"]), False)


def test_every_action_is_listed_with_its_fields(box: Appliance):
    found = actions(box, "cp1")

    power = ["power-on", "power-off", "power-cycle", "power-pxe"]
    others = ["arm", "confirm", "cancel", "inspect", "rescue", "cancel-rescue", "retire", "wipe", "remove"]
    assert list(found) == [*others, *power]
    assert set(found["cancel"]) == {"host", "verb", "reasons", "warnings", "is_forcible", "refusal"}
    assert found["cancel"]["refusal"] == "cp1 is not armed"


def test_an_unknown_host_is_404(box: Appliance):
    answer = box.api("GET", "/hosts/w99/actions")

    assert (answer.status, answer.json()["code"]) == (404, "host-unknown")

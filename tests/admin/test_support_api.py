"""A support archive by the API, on the whole appliance in one process."""

import io
import json
import tarfile
from collections.abc import Iterator

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def test_an_archive_has_what_the_daemon_has(box: Appliance):
    response = box.api("GET", "/support?host=cp1")

    with tarfile.open(fileobj=io.BytesIO(response.body)) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert response.status == 200
    assert json.loads(files["appliance/status.json"])["version"]
    assert json.loads(files["appliance/health.json"])["parts"]
    assert b"netboot_" in files["appliance/metrics.txt"]


def test_an_unknown_host_is_not_found(box: Appliance):
    response = box.api("GET", "/support?host=nobody")

    assert (response.status, response.json()["code"]) == (404, "host-unknown")

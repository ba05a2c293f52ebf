"""A support archive by the API, on the whole appliance in one process."""

import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

from netboot.admin.api.appliance.support_api import ARCHIVES_AT_ONCE


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


def test_four_archives_are_sent_at_once_and_a_client_that_does_not_read_is_disconnected(box: Appliance):
    with closing(sqlite3.connect(box.directory / "netboot.db")) as store, store:
        data = [json.dumps({"name": os.urandom(500).hex()}) for _ in range(800)]
        rows = [("2026-11-29T02:00:00+00:00", "boot.offered", each) for each in data]
        store.executemany("INSERT INTO events (at, name, data) VALUES (?, ?, ?)", rows)
    clients = [box.stalled_client("/support") for _ in range(ARCHIVES_AT_ONCE)]

    refused = box.api("GET", "/support")
    box.advance(31)

    assert (refused.status, refused.headers["retry-after"]) == (503, "10")
    assert all(client.is_closing() for client in clients)
    assert box.api("GET", "/support").status == 200

"""Throughput by the API, on the whole appliance in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST
from safety.memory_network import SERVER

MACHINE = "192.0.2.77"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Appliance]:
    shared, directory = tmp_path / "shared", tmp_path / "box"
    shared.mkdir()
    directory.mkdir()
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


def test_each_protocol_has_the_bytes_that_it_sent_in_ten_seconds(box: Appliance):
    (loader,) = sorted((box.directory / "boot").glob("snponly.efi"))
    by_tftp = box.tftp(loader.name, MACHINE)
    by_http = box.http("GET", f"/bootfiles/{loader.name}", MACHINE)
    script = box.http("GET", "/boot/52:54:00:00:00:77.ipxe", MACHINE)
    box.advance(11)

    found = box.api("GET", "/throughput").json()

    assert isinstance(by_tftp, bytes)
    assert (by_http.status, script.status) == (200, 200)
    assert found["interval_s"] == 10
    (sample,) = found["samples"]
    sent = {"tftp": len(by_tftp), "http": len(by_http.body) + len(script.body), "content": 0}
    assert {key: sample[key] for key in sent} == {key: pytest.approx(each / 10, abs=60) for key, each in sent.items()}


def test_a_transfer_counts_while_it_runs(box: Appliance):
    request = b"\0\1snponly.efi\0octet\0"
    ((server, _machine, first),) = box.udp(69, request, (MACHINE, 20_000))
    assert box.udp(server[1], b"\0\4" + first[2:4], (MACHINE, 20_000))
    box.advance(10)

    (sample,) = box.api("GET", "/throughput").json()["samples"]

    assert (server[0], len(first)) == (SERVER, 4 + 512)
    assert sample["tftp"] == round(512 / 10)

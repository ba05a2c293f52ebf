"""What an appliance declares of the files that its hosts name."""

from pathlib import Path

import pytest

from netboot.app.appliances.declared_here import DeclaredHere
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.store.sealing.sealing import Sealing, StoreKey

SEALING = Sealing(StoreKey(bytes(range(32))))


@pytest.fixture
def ignition(tmp_path: Path) -> Path:
    path = tmp_path / "worker.ign"
    path.write_text('{"ignition": {"version": "3.4.0"}}')
    return path


def declared(directory: Path, ignition: Path) -> DeclaredHere:
    host = Host(
        HostName("w1"), Role.WORKER, (Mac("52:54:00:aa:bb:11"),), boot_media="ol9", release="ock", ignition=ignition
    )
    hosts = HostSet.of(Cluster("rack"), [host])
    return DeclaredHere(lambda: hosts, directory, SEALING)


def test_another_content_of_an_ignition_file_is_another_declaration_of_its_host(tmp_path: Path, ignition: Path):
    here, copied = declared(tmp_path, ignition), tmp_path / "copied.ign"
    copied.write_bytes(ignition.read_bytes())
    before = here.read()

    ignition.write_text('{"ignition": {"version": "3.5.0"}}')

    assert here.read().differences(before) == {"hosts": ["w1"]}
    assert declared(tmp_path, copied).read() == before

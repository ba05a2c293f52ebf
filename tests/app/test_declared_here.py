"""What an appliance declares of the files that its hosts name."""

from pathlib import Path
from typing import Any

import pytest
from fixtures.no_descriptor import no_descriptor_left

from netboot.app.appliances.declared_here import DeclaredHere
from netboot.errors import DescriptorsError
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.store.sealing.sealing import Sealing, StoreKey

SEALING = Sealing(StoreKey(bytes(range(32))))


@pytest.fixture
def ignition(tmp_path: Path) -> Path:
    path = tmp_path / "worker.ign"
    path.write_text('{"ignition": {"version": "3.4.0"}}')
    return path


def declared(directory: Path, ignition: Path, *named: str) -> DeclaredHere:
    """Declare a host that names these of medium, release and file; all by default."""
    names: dict[str, Any] = {"boot_media": "ol8u10-x86_64", "release": "ock-1.31-amd64", "ignition": ignition}
    kept = {name: value for name, value in names.items() if name in (named or names)}
    host = Host(HostName("w1"), Role.WORKER, (Mac("52:54:00:aa:bb:11"),), **kept)
    hosts = HostSet.of(Cluster("rack"), [host])
    return DeclaredHere(lambda: hosts, directory, SEALING)


def test_another_content_of_an_ignition_file_is_another_declaration_of_its_host(tmp_path: Path, ignition: Path):
    here, copied = declared(tmp_path, ignition), tmp_path / "copied.ign"
    copied.write_bytes(ignition.read_bytes())
    before = here.read()

    ignition.write_text('{"ignition": {"version": "3.5.0"}}')

    assert here.read().differences(before) == {"hosts": ["w1"]}
    assert declared(tmp_path, copied).read() == before


def test_an_ignition_file_release_and_medium_that_are_missing_are_declared_so(tmp_path: Path, ignition: Path):
    here = declared(tmp_path, ignition)
    before = here.read()

    ignition.unlink()

    assert here.read().differences(before) == {"hosts": ["w1"]}
    assert here.read().content == {"release ock-1.31-amd64": "missing", "medium ol8u10-x86_64": "missing"}


@pytest.mark.parametrize("named", ["ignition", "release"])
def test_what_cannot_be_opened_because_no_descriptor_is_left_is_not_declared_as_missing(
    content: Path, ignition: Path, named: str
):
    here = declared(content, ignition, named)
    before = here.read()
    ignition.write_text('{"ignition": {"version": "3.5.0"}}')
    with no_descriptor_left(), pytest.raises(DescriptorsError):
        here.read()

    assert here.read().content == before.content
    assert "missing" not in before.content.values()

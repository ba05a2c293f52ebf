"""An appliance's files, and the interfaces of a box as values."""

import shutil
from collections.abc import Callable
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from fixtures.files import HOSTS, SETTINGS, write_files

from netboot.model.host.network import InterfaceAddress
from netboot.registry.load import Configuration, read
from netboot.serve.net.links import Link

Write = Callable[..., Configuration]


def link(*addresses: str, is_up: bool = True, has_carrier: bool = True) -> Link:
    """Make one interface of a box."""
    found = tuple(InterfaceAddress(IPv4Interface(address)) for address in addresses)
    return Link(index=2, addresses=found, mtu_bytes=1500, is_up=is_up, has_carrier=has_carrier)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one appliance, from which each test gets a copy."""
    return write_files(tmp_path_factory.mktemp("appliance"))


@pytest.fixture
def appliance(files: Path, tmp_path: Path) -> Write:
    """Write an appliance's files and read them; `settings` are those of the interfaces, `rest` are all others."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)

    def write(
        settings: str = "network: {interfaces: [s0]}\n", *, hosts: str = HOSTS, rest: str = SETTINGS.partition("\n")[2]
    ) -> Configuration:
        (tmp_path / "netboot.yaml").write_text(settings + rest)
        (tmp_path / "hosts.yaml").write_text(hosts)
        return read(tmp_path / "netboot.yaml")

    return write

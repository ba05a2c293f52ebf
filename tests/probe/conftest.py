"""A live daemon for simulated machines."""

from collections.abc import Iterator

import pytest
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.rack import Rack, running
from fixtures.servers import dnsmasq, running_server

HOSTS = """\
cluster: {name: rackone, init: cp1}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/vda, ntp: [192.0.2.1]}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:aa:bb:01}
  w1: {role: worker, mac: 52:54:00:12:34:56, firmware: without-43}
"""


@pytest.fixture(scope="package")
def shared_rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """One daemon, which serves unregistered machines too, for tests whose machines do not meet."""
    directory = tmp_path_factory.mktemp("probe")
    write_files(directory, settings=OPEN_SETTINGS, hosts=HOSTS)
    write_boot_files(directory / "boot")
    with running(directory) as rack:
        yield rack


@pytest.fixture(scope="module")
def leasing_rack(shared_rack: Rack) -> Iterator[Rack]:
    """The daemon, and dnsmasq, which leases 192.0.2.100 to 192.0.2.150."""
    with running_server(shared_rack.server_namespace, *dnsmasq(shared_rack.directory, "--bind-interfaces")):
        yield shared_rack

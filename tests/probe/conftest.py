"""A live daemon and a DHCP server for simulated machines."""

from collections.abc import Iterator

import pytest
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.rack import Rack, running
from fixtures.servers import dnsmasq, running_server


@pytest.fixture(scope="package")
def shared_rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """One daemon beside dnsmasq, which leases 192.0.2.100 to 192.0.2.150, for tests whose machines do not meet."""
    directory = tmp_path_factory.mktemp("probe")
    write_files(directory, settings=OPEN_SETTINGS)
    write_boot_files(directory / "boot")
    with (
        running(directory) as rack,
        running_server(rack.server_namespace, *dnsmasq(directory, "--bind-interfaces")),
    ):
        yield rack

"""A live daemon beside a DHCP server that leases addresses."""

from collections.abc import Iterator

import pytest
from fixtures.rack import Rack
from fixtures.servers import dnsmasq, running_server


@pytest.fixture(scope="module")
def leasing_rack(shared_rack: Rack) -> Iterator[Rack]:
    """The daemon, and dnsmasq, which leases 192.0.2.100 to 192.0.2.150."""
    with running_server(shared_rack.server_namespace, *dnsmasq(shared_rack.directory, "--bind-interfaces")):
        yield shared_rack

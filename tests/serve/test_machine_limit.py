"""No machine, and no few of them together, gets all connections; a refusal names whose connections are too many."""

import asyncio

from serve.conftest import Limit

from netboot.serve.static_http.machine_limit import MachineLimit
from netboot.serve.static_http.refused import RefusalReason


class Opened(asyncio.Transport):
    """A connection that is open until `is_closed` is set."""

    is_closed = False

    def is_closing(self) -> bool:
        return self.is_closed


def test_beyond_the_limit_of_all_each_address_has_one_connection_until_some_close():
    limit = MachineLimit(2, most_of_all=3)
    opened = [Opened() for _ in range(3)]
    assert [limit.admit(address, each) for address, each in zip("aab", opened, strict=True)] == [None, None, None]

    assert limit.admit("a", Opened()) is RefusalReason.CONNECTIONS  # as many as an address may have
    assert limit.admit("b", Opened()) is RefusalReason.DESCRIPTORS  # because of the others
    assert limit.admit("c", Opened()) is None
    assert limit.admit("c", Opened()) is RefusalReason.DESCRIPTORS

    for each in opened:
        each.is_closed = True
    limit.forget_closed()
    assert limit.admit("c", Opened()) is None
    assert limit.admit("c", Opened()) is RefusalReason.CONNECTIONS


def test_with_one_of_the_last_descriptors_an_address_has_one_connection(limit: Limit):
    limit(1024)  # scarce from 704 on
    machines = MachineLimit(2)

    assert machines.admit("a", Opened(), descriptor=703) is None
    assert machines.admit("a", Opened(), descriptor=704) is RefusalReason.DESCRIPTORS
    assert machines.admit("b", Opened(), descriptor=704) is None
    assert machines.admit("a", Opened(), descriptor=703) is None
    assert machines.admit("b", Opened()) is None  # its number is not checked

"""No machine, and no few of them together, gets all connections."""

import asyncio

from netboot.serve.static_http.machine_limit import MachineLimit


class Opened(asyncio.Transport):
    """A connection that is open until `is_closed` is set."""

    is_closed = False

    def is_closing(self) -> bool:
        return self.is_closed


def test_beyond_the_limit_of_all_each_address_has_one_connection_until_some_close():
    limit = MachineLimit(2, most_of_all=3)
    opened = [Opened() for _ in range(3)]
    assert [limit.admit(address, each) for address, each in zip("aab", opened, strict=True)] == [True, True, True]

    assert not limit.admit("b", Opened())
    assert limit.admit("c", Opened())
    assert not limit.admit("c", Opened())

    for each in opened:
        each.is_closed = True
    limit.forget_closed()
    assert limit.admit("c", Opened())
    assert not limit.admit("c", Opened())

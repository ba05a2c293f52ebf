"""Which client gets a slot, which waits, and the rate of a machine, in virtual time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.serve.static_http.shares import Shares, longest_wait_s

IPXE, CURL, OSTREE = "iPXE/1.21.1+", "curl/7.61.1", "libostree/2022.2"


class VirtualSelector(selectors.SelectSelector):
    """Ends each wait at once and adds its time to `now`."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits for another one"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = VirtualSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*arguments, **named))

    return run


class Client:
    """A client that has requested a large body, and reads it until `leave`."""

    def __init__(self, shares: Shares, machine: str, user_agent: str) -> None:
        self.began_at: float | None = None
        self.retry_after_s: int | None = None
        self._has_read = asyncio.Event()
        self._task = asyncio.create_task(self._request(shares, machine, user_agent))

    async def _request(self, shares: Shares, machine: str, user_agent: str) -> None:
        async with shares.slot(machine, user_agent) as self.retry_after_s:
            if self.retry_after_s is None:
                self.began_at = asyncio.get_running_loop().time()
                await self._has_read.wait()

    @property
    def is_running(self) -> bool:
        return self.began_at is not None and not self._task.done()

    async def leave(self) -> None:
        """Read to the end."""
        self._has_read.set()
        await settled()

    async def disconnect(self) -> None:
        self._task.cancel()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def entered(shares: Shares, machine: str, user_agent: str = CURL) -> Client:
    client = Client(shares, machine, user_agent)
    await settled()
    return client


@pytest.mark.parametrize(
    ("agent", "wait_s"),
    [
        ("iPXE/1.21.1+ (g8e5b)", None),
        ("Ignition/2.14.0", None),
        ("libostree/2022.7", 15.0),
        ("curl/7.61.1", 60.0),
        ("GRUB 2.06", 60.0),
        ("UefiHttpBoot/1.0", 60.0),
        ("", 60.0),
    ],
)
def test_each_kind_of_client_is_delayed_in_the_way_it_can_handle(agent: str, wait_s: float | None) -> None:
    assert longest_wait_s(agent) == wait_s


@in_virtual_time
async def test_ipxe_gets_a_retry_after_and_curl_and_libostree_wait() -> None:
    shares = Shares(max_streams=1, client_rate=0)
    first = await entered(shares, "a")

    reported = await entered(shares, "b", IPXE)
    curl, ostree = await entered(shares, "c", CURL), await entered(shares, "d", OSTREE)

    assert reported.retry_after_s is not None
    assert 1 <= reported.retry_after_s <= 30
    assert [client.is_running for client in (first, curl, ostree)] == [True, False, False]
    await asyncio.sleep(100)
    assert [client.is_running for client in (first, curl, ostree)] == [True, True, True]
    assert (curl.began_at, ostree.began_at) == pytest.approx((60.0, 15.0))


@in_virtual_time
async def test_a_place_that_is_freed_goes_to_the_machine_that_holds_the_fewest() -> None:
    shares = Shares(max_streams=3, client_rate=0)
    greedy = [await entered(shares, "greedy") for _ in range(3)]
    greedy_waits, modest_waits = await entered(shares, "greedy"), await entered(shares, "modest")

    await greedy[0].leave()
    assert [client.is_running for client in (greedy_waits, modest_waits)] == [False, True]
    await greedy[1].leave()
    assert [client.is_running for client in (greedy_waits, modest_waits)] == [True, True]


@in_virtual_time
async def test_a_machine_that_holds_every_slot_keeps_no_other_from_its_first() -> None:
    shares = Shares(3, 0)
    machines = ["hostile"] * 4 + ["w1", "w1", "w2", "w3"]
    clients = [await entered(shares, machine, IPXE) for machine in machines]

    # The first w1 gets a place beyond the three, and so does w2; then three machines hold one each.
    assert [client.is_running for client in clients] == [True] * 3 + [False, True, False, True, False]


@in_virtual_time
async def test_waiting_clients_cannot_starve_retrying_ones() -> None:
    shares = Shares(max_streams=4, client_rate=0)
    clients = [await entered(shares, machine) for machine in "abcdef"]

    assert [client.is_running for client in clients] == [True] * 3 + [False] * 3
    assert (await entered(shares, "ipxe", IPXE)).is_running
    assert (await entered(shares, "ipxe", IPXE)).retry_after_s is not None


@in_virtual_time
async def test_a_stream_that_cannot_wait_longer_runs_beyond_the_limit() -> None:
    shares = Shares(max_streams=1, client_rate=0)
    first, second = await entered(shares, "a"), await entered(shares, "b")

    await asyncio.sleep(60)

    assert [client.is_running for client in (first, second)] == [True, True]
    third = await entered(shares, "c")
    await first.leave()
    assert not third.is_running
    await third.disconnect()
    await second.leave()
    assert (await entered(shares, "ipxe", IPXE)).is_running


@in_virtual_time
async def test_a_client_that_closes_while_it_waits_leaves_no_trace() -> None:
    shares = Shares(max_streams=1, client_rate=0)
    first, gone, last = [await entered(shares, name) for name in "abc"]

    await gone.disconnect()
    assert [client.is_running for client in (first, last)] == [True, False]
    await first.leave()
    assert last.is_running
    await last.leave()
    assert (await entered(shares, "ipxe", IPXE)).is_running


@in_virtual_time
async def test_a_client_that_closes_when_it_is_given_a_slot_leaves_the_slot_to_the_next() -> None:
    shares = Shares(max_streams=1, client_rate=0)
    first, gone, last = [await entered(shares, name) for name in "abc"]

    await asyncio.gather(first.leave(), gone.disconnect())

    assert [client.is_running for client in (gone, last)] == [False, True]
    assert (await entered(shares, "ipxe", IPXE)).retry_after_s is not None


def test_a_machine_goes_at_its_rate_and_another_is_not_held_up() -> None:
    shares = Shares(128, client_rate=1000)
    now, sent = 100.0, 0
    while now < 110.0:
        sent += 500
        now += shares.charge("a", 500, now)

    assert 10_000 <= sent <= 11_500  # and the burst of a second
    assert shares.charge("b", 500, now) == 0.0


def test_without_a_rate_nobody_waits() -> None:
    assert Shares(128, client_rate=0).charge("a", 10**12, 0.0) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 50), st.floats(0.1, 30)), max_size=60))
@in_virtual_time
async def test_a_boot_storm_delays_and_fails_nobody(arrivals: list[tuple[str, float, float]]) -> None:
    """Every client that may wait is served within its timeout; no slot is lost."""
    shares = Shares(max_streams=4, client_rate=0)
    loop = asyncio.get_running_loop()
    waits_s: list[float] = []

    async def boot(machine: str, at: float, lasts_s: float) -> None:
        await asyncio.sleep(at)
        arrived_at = loop.time()
        async with shares.slot(machine, CURL) as retry_after_s:
            assert retry_after_s is None
            waits_s.append(loop.time() - arrived_at)
            await asyncio.sleep(lasts_s)

    await asyncio.gather(*(boot(*arrival) for arrival in arrivals))

    assert len(waits_s) == len(arrivals)
    assert all(wait_s <= 60.0 + 1e-6 for wait_s in waits_s)  # the loop's clock rounds
    afterwards = [await entered(shares, "a") for _ in range(4)]
    assert [client.is_running for client in afterwards] == [True] * 3 + [False]

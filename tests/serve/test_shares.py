"""Which client gets a slot, which waits, and the rate of a machine, in virtual time."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.serve.static_http.shares import ComeBack, RetryBehaviour, ShareLimits, Shares, Stream

IPXE, CURL, OSTREE = (
    RetryBehaviour.of("iPXE/1.21.1+"),
    RetryBehaviour.of("curl/7.61.1"),
    RetryBehaviour.of("libostree/2022.2"),
)


def entered(shares: Shares, machine: str, retry_behaviour: RetryBehaviour = CURL, now: float = 0.0) -> Stream:
    stream = shares.enter(machine, retry_behaviour, now)
    assert isinstance(stream, Stream)
    return stream


@pytest.mark.parametrize(
    ("agent", "retry_behaviour"),
    [
        ("iPXE/1.21.1+ (g8e5b)", RetryBehaviour.COMES_BACK),
        ("Ignition/2.14.0", RetryBehaviour.COMES_BACK),
        ("libostree/2022.7", RetryBehaviour.WAITS_BRIEFLY),
        ("curl/7.61.1", RetryBehaviour.WAITS),
        ("GRUB 2.06", RetryBehaviour.WAITS),
        ("UefiHttpBoot/1.0", RetryBehaviour.WAITS),
        ("", RetryBehaviour.WAITS),
    ],
)
def test_each_kind_of_client_is_delayed_in_the_way_it_can_handle(agent: str, retry_behaviour: RetryBehaviour) -> None:
    assert RetryBehaviour.of(agent) is retry_behaviour


def test_ipxe_gets_a_retry_after_and_curl_and_libostree_wait() -> None:
    shares = Shares(ShareLimits(max_streams=1, client_rate=0))
    first = entered(shares, "a")

    reported = shares.enter("b", IPXE, 0.0)
    curl, ostree = entered(shares, "c", CURL), entered(shares, "d", OSTREE)

    assert isinstance(reported, ComeBack)
    assert 1 <= reported.retry_after_s <= 30
    assert [shares.is_running(stream) for stream in (first, curl, ostree)] == [True, False, False]
    assert (curl.waits_until, ostree.waits_until) == (60.0, 15.0)


def test_a_place_that_is_freed_goes_to_the_machine_that_holds_the_fewest() -> None:
    shares = Shares(ShareLimits(max_streams=3, client_rate=0))
    greedy = [entered(shares, "greedy") for _ in range(3)]
    greedy_waits, modest_waits = entered(shares, "greedy"), entered(shares, "modest")

    assert shares.leave(greedy[0]) == [modest_waits]
    assert shares.leave(greedy[1]) == [greedy_waits]


def test_waiting_clients_cannot_starve_retrying_ones() -> None:
    shares = Shares(ShareLimits(max_streams=4, client_rate=0))
    streams = [entered(shares, machine) for machine in "abcdef"]

    assert [shares.is_running(stream) for stream in streams] == [True] * 3 + [False] * 3
    assert isinstance(shares.enter("ipxe", IPXE, 0.0), Stream)
    assert isinstance(shares.enter("ipxe", IPXE, 0.0), ComeBack)


def test_a_stream_that_cannot_wait_longer_runs_beyond_the_limit() -> None:
    shares = Shares(ShareLimits(max_streams=1, client_rate=0))
    first, second = entered(shares, "a"), entered(shares, "b")

    shares.time_out(second)

    assert [shares.is_running(stream) for stream in (first, second)] == [True, True]
    assert shares.leave(first) == []
    assert shares.leave(second) == []
    assert isinstance(shares.enter("ipxe", IPXE, 0.0), Stream)


def test_a_client_that_closes_while_it_waits_leaves_no_trace() -> None:
    shares = Shares(ShareLimits(max_streams=1, client_rate=0))
    first, gone, last = (entered(shares, name) for name in "abc")

    assert shares.leave(gone) == []
    assert shares.leave(first) == [last]


def test_a_machine_goes_at_its_rate_and_another_is_not_held_up() -> None:
    shares = Shares(ShareLimits(128, client_rate=1000))
    now, sent = 100.0, 0
    while now < 110.0:
        sent += 500
        now += shares.charge("a", 500, now)

    assert 10_000 <= sent <= 11_500  # and the burst of a second
    assert shares.charge("b", 500, now) == 0.0


def test_without_a_rate_nobody_waits() -> None:
    assert Shares(ShareLimits(128, client_rate=0)).charge("a", 10**12, 0.0) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 50), st.floats(0.1, 30)), max_size=60))
def test_a_boot_storm_delays_and_fails_nobody(arrivals: list[tuple[str, float, float]]) -> None:
    """Every client that may wait is served within its timeout; no slot is lost."""
    shares = Shares(ShareLimits(max_streams=4, client_rate=0))
    agenda: list[tuple[float, int, str, object]] = []
    for number, (machine, at, lasts_s) in enumerate(arrivals):
        heapq.heappush(agenda, (at, number, "arrive", (machine, lasts_s)))
    lasts: dict[Stream, float] = {}
    began: dict[Stream, float] = {}
    tick = len(arrivals)

    def begin(stream: Stream, now: float) -> None:
        nonlocal tick
        tick += 1
        began[stream] = now
        heapq.heappush(agenda, (now + lasts[stream], tick, "end", stream))

    while agenda:
        now, _, what, about = heapq.heappop(agenda)
        if what == "arrive":
            assert isinstance(about, tuple)
            stream = entered(shares, about[0], CURL, now)
            lasts[stream] = about[1]
            if shares.is_running(stream):
                begin(stream, now)
            else:
                tick += 1
                heapq.heappush(agenda, (stream.waits_until, tick, "impatient", stream))
        elif what == "impatient" and isinstance(about, Stream) and about not in began:
            shares.time_out(about)
            begin(about, now)
        elif what == "end" and isinstance(about, Stream):
            for started in shares.leave(about):
                begin(started, now)

    assert len(began) == len(arrivals)
    assert all(at <= stream.waits_until for stream, at in began.items())
    afterwards = [entered(shares, "a", CURL, 1000.0) for _ in range(4)]
    assert [shares.is_running(stream) for stream in afterwards] == [True] * 3 + [False]

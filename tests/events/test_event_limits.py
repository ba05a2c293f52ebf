"""A flood of one kind of event causes a few rows and a count, and hides no other machine's events."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from netboot.events.event_limits import ADDRESSES, PER_HOST, PER_UNREGISTERED, EventLimits
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CP1, W1 = HostName("cp1"), HostName("w1")


def refused(*, at_s: float = 0, host: HostName | None = CP1, address: str = "192.0.2.77") -> Event:
    data = {"request": "script", "address": address, "reason": "other-address"}
    return Event("boot.request_refused", NOW + timedelta(seconds=at_s), host, data=data)


def offered(*, at_s: float = 0, host: HostName | None = CP1) -> Event:
    return Event("boot.offered", NOW + timedelta(seconds=at_s), host, Mac("02:00:00:00:00:01"), Step.OFFER)


def recorded(limits: EventLimits, events: Iterable[Event]) -> list[Event]:
    return [event for each in events for event, _level in limits.admit(each, logging.WARNING)]


def summary(limits: EventLimits, at_s: float) -> list[tuple[HostName | None, object]]:
    return [(event.host, event.data["count"]) for event, _level in limits.close_ended(NOW + timedelta(seconds=at_s))]


def test_of_refused_requests_the_first_is_recorded_at_once_and_the_rest_as_one_count_a_minute():
    limits = EventLimits()
    flood = [refused(at_s=number / 100) for number in range(2000)]

    assert recorded(limits, flood) == [flood[0]]
    assert summary(limits, 59) == []
    (counted,) = recorded(limits, [refused(at_s=60)])

    at = NOW + timedelta(seconds=60)
    assert counted == replace(flood[-1], at=at, data={**flood[-1].data, "count": 1999})


def test_refused_requests_that_go_on_are_one_count_each_minute_and_recorded_at_once_after_a_quiet_one():
    limits = EventLimits()
    recorded(limits, [refused(), refused()])

    assert summary(limits, 60) == [(CP1, 1)]
    assert recorded(limits, [refused(at_s=70)]) == []
    assert summary(limits, 120) == [(CP1, 1)]
    assert summary(limits, 180) == []
    assert recorded(limits, [refused(at_s=181)]) == [refused(at_s=181)]


def test_two_hosts_behind_one_address_and_two_addresses_each_have_their_own_count():
    limits = EventLimits()
    each = [refused(), refused(host=W1), refused(address="192.0.2.78")]

    assert recorded(limits, each * 3) == each
    assert summary(limits, 60) == [(CP1, 2), (W1, 2), (CP1, 2)]


def test_a_flood_from_many_addresses_for_many_hosts_has_a_bounded_number_of_events():
    limits = EventLimits()
    flood = [
        refused(host=HostName(f"w{host}"), address=f"10.0.{address // 256}.{address % 256}")
        for address in range(500)
        for host in range(60)
    ]

    first = recorded(limits, flood)
    counts = summary(limits, 60)

    assert len(first) == ADDRESSES
    assert sum(count for _host, count in counts) + len(first) == len(flood)  # type: ignore[misc]


def test_a_flood_of_one_kind_hides_no_alarm():
    limits = EventLimits()
    recorded(limits, [refused(address=f"10.0.{n // 256}.{n % 256}") for n in range(2000)])
    alarm = replace(refused(), name="boot.alarm_raised")

    assert recorded(limits, [alarm]) == [alarm]


def test_a_registered_host_causes_so_many_events_of_a_kind_in_a_minute_and_the_count_is_no_step():
    limits = EventLimits()
    flood = [offered(at_s=number / 100) for number in range(PER_HOST + 5)]

    assert recorded(limits, flood) == flood[:PER_HOST]
    (counted,) = [event for event, _level in limits.close_ended(NOW + timedelta(seconds=60))]

    assert (counted.name, counted.host, counted.step, counted.data) == ("boot.offered", CP1, None, {"count": 5})
    assert recorded(limits, [offered(at_s=61)]) == [offered(at_s=61)]


def test_unregistered_machines_share_a_limit_and_take_none_from_a_registered_host():
    limits = EventLimits()

    assert len(recorded(limits, [offered(host=None)] * (PER_UNREGISTERED + 50))) == PER_UNREGISTERED
    assert recorded(limits, [offered()]) == [offered()]


def test_what_moves_an_install_is_never_left_out():
    limits = EventLimits()
    moves = [Event("install.moved", NOW, CP1, data={"number": number}) for number in range(1000)]

    assert recorded(limits, moves) == moves


def test_a_clock_that_is_set_back_keeps_no_window_open():
    limits = EventLimits()
    recorded(limits, [refused(), refused()])

    assert [event.data.get("count") for event in recorded(limits, [refused(at_s=-3600)])] == [1]

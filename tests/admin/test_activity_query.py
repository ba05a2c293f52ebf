"""The filter of activity in a URL: times, ages and what is refused."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from netboot.admin.api.activity.activity_query import ActivityPageQuery
from netboot.admin.api.request_models import read_query
from netboot.events.activity import ActivityFilter
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

NOW = datetime(2026, 11, 29, 2, tzinfo=UTC)


def activity_filter(query: dict[str, str]) -> ActivityFilter:
    request = make_mocked_request("GET", f"/api/v1/activity?{urlencode(query)}")
    return read_query(request, ActivityPageQuery).filter(NOW)


def test_every_part_of_a_filter_is_read():
    query = {
        "host": "cp1",
        "mac": "52-54-00-AA-BB-01",
        "event": "boot.*",
        "actor": " alice ",
        "since": "24h",
        "until": "2026-11-29T03:30:00+02:00",
        "audit": "1",
        "before": "17",
        "limit": "5",
    }

    assert activity_filter(query) == ActivityFilter(
        HostName("cp1"),
        Mac("52:54:00:aa:bb:01"),
        "boot.*",
        "alice",
        NOW - timedelta(days=1),
        datetime(2026, 11, 29, 1, 30, tzinfo=UTC),
        True,
        17,
    )


def test_empty_fields_of_a_form_exclude_nothing():
    assert activity_filter(dict.fromkeys(("host", "mac", "event", "actor", "since", "audit"), "")) == (ActivityFilter())


def test_a_time_without_an_offset_is_utc():
    assert activity_filter({"since": "2026-11-28"}).since == datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"mac": "xyz"}, "mac is the address"),
        ({"event": "boot"}, "event is the name"),
        ({"since": "yesterday"}, "since is a time"),
        ({"until": "9999999d"}, "until is a time"),
        ({"since": "9999-12-31T23:59:59-23:59"}, "since is a time"),
        ({"audit": "yes"}, "audit is 1 for"),
        ({"before": "-1"}, "before is the id"),
        ({"before": "1" * 19}, "before is the id"),
        ({"before": "x"}, "before is the id"),
        ({"limit": "1001"}, "limit is how many"),
        ({"limit": "0"}, "limit is how many"),
        ({"hosts": "cp1"}, "no such key hosts"),
        ({"actor": "a" * 257}, "actor is who"),
    ],
)
def test_a_malformed_part_is_refused_by_its_name(query: dict[str, str], why: str):
    with pytest.raises((ValueError, web.HTTPBadRequest)) as refused:
        activity_filter(query)

    assert str(getattr(refused.value, "text", refused.value)).startswith(why)

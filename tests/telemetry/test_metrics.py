"""The counters of a daemon: what is counted is exposed, and what is not declared is refused."""

import logging
from datetime import UTC, datetime

import pytest

from netboot.errors import StoreError
from netboot.model.boot.boot_record import BootRecord, BootStep
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.model.release import ContentKind
from netboot.telemetry.metrics import COUNTERS, Metrics, Reading


def samples(metrics: Metrics) -> dict[str, float]:
    """The counters that were counted, as Prometheus reads them."""
    lines = [line for line in metrics.exposition().decode().splitlines() if "_total" in line and line[0] != "#"]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if float(value)}


def test_what_is_counted_is_exposed_with_its_labels():
    metrics = Metrics()

    metrics.count("dhcp_offered", arch="x64-uefi", kind="loader")
    metrics.count("dhcp_offered", arch="x64-uefi", kind="loader")
    metrics.count("lease_probes_lost")
    metrics.content_sent(ContentKind.OSTREE_OBJECT, 200, 1_000)
    metrics.content_sent(ContentKind.OSTREE_OBJECT, 206, 24)
    metrics.count("http_malformed")
    metrics.count("http_refused", reason="too-large")

    assert samples(metrics) == {
        'netboot_dhcp_offered_total{arch="x64-uefi",kind="loader"}': 2,
        "netboot_lease_probes_lost_total": 1,
        f'netboot_content_requests_total{{kind="{ContentKind.OSTREE_OBJECT}",status="200"}}': 1,
        f'netboot_content_requests_total{{kind="{ContentKind.OSTREE_OBJECT}",status="206"}}': 1,
        f'netboot_content_bytes_total{{kind="{ContentKind.OSTREE_OBJECT}"}}': 1_024,
        "netboot_http_malformed_total": 1,
        'netboot_http_refused_total{reason="too-large"}': 1,
    }


def test_two_daemons_in_one_process_do_not_share_their_counters():
    first, second = Metrics(), Metrics()

    first.count("http_malformed")

    assert samples(second) == {}


def test_every_declared_counter_is_exposed_with_its_help():
    text = Metrics().exposition().decode()

    helps = {f"# HELP netboot_{name}_total {what}" for name, (what, _labels) in COUNTERS.items()}
    assert helps <= set(text.splitlines())


@pytest.mark.parametrize(
    ("name", "labels", "error"),
    [
        pytest.param("dhcp_ofered", {}, KeyError, id="a-misspelt-counter"),
        pytest.param("dhcp_offered", {"arch": "x64-uefi"}, ValueError, id="a-missing-label"),
        pytest.param("dhcp_ignored", {"cause": "unknown-host"}, ValueError, id="another-label"),
    ],
)
def test_a_counter_that_is_not_declared_is_refused(name: str, labels: dict[str, str], error: type[Exception]):
    with pytest.raises(error):
        Metrics().count(name, **labels)


def lines(metrics: Metrics, name: str) -> list[str]:
    """List the lines of one metric."""
    return [line for line in metrics.exposition().decode().splitlines() if line.startswith(f"netboot_{name}")]


def test_a_histogram_counts_each_observation_in_every_bucket_that_holds_it():
    metrics = Metrics()

    for seconds in (0.2, 0.5, 3, 4000):
        metrics.observe("boot_step_duration_seconds", seconds, step="kernel", loader="grub")

    labels = 'step="kernel"'
    found = dict(line.rsplit(" ", 1) for line in lines(metrics, "boot_step_duration_seconds"))
    buckets = {name.split('le="')[1].split('"')[0]: value for name, value in found.items() if "_bucket" in name}
    assert all(labels in name for name in found)
    assert (buckets["0.5"], buckets["2.0"], buckets["5.0"], buckets["3600.0"], buckets["+Inf"]) == (
        *("2.0", "2.0", "3.0", "3.0"),
        "4.0",
    )
    rest = {name.split("{")[0]: value for name, value in found.items() if "_bucket" not in name}
    assert rest == {
        "netboot_boot_step_duration_seconds_count": "4.0",
        "netboot_boot_step_duration_seconds_sum": "4003.7",
    }


def test_gauges_are_read_at_each_exposition():
    metrics, waiting = Metrics(), [3]
    metrics.read_gauges(lambda: [Reading("queue_length", waiting[0], ("events", "")), Reading("problems", 1)])

    first = lines(metrics, "queue_length")
    waiting[0] = 5

    assert (first, lines(metrics, "queue_length")) == (
        ['netboot_queue_length{interface="",queue="events"} 3.0'],
        ['netboot_queue_length{interface="",queue="events"} 5.0'],
    )
    assert lines(metrics, "problems") == ["netboot_problems 1.0"]


def test_a_gauge_with_other_labels_or_another_name_is_refused():
    for reading, error in ((Reading("queue_length", 1, ("events",)), ValueError), (Reading("queue", 1), KeyError)):
        metrics = Metrics()
        metrics.read_gauges(lambda reading=reading: [reading])
        with pytest.raises(error):
            metrics.exposition()


def test_an_observation_with_other_labels_is_refused():
    with pytest.raises(ValueError, match="store_transaction_duration_seconds is counted by access, not by kind"):
        Metrics().observe("store_transaction_duration_seconds", 1, kind="read")


def test_alarms_are_counted_also_those_over_the_limit_of_events():
    metrics, at = Metrics(), datetime(2026, 11, 21, tzinfo=UTC)

    for data in ({"reason": "second-address"}, {"reason": "second-address", "count": 7}):
        metrics.event_happened(Event("boot.alarm_raised", at, data=data), logging.ERROR)

    assert samples(metrics) == {
        'netboot_events_total{event="boot.alarm_raised"}': 8,
        "netboot_alarms_total": 8,
    }


def test_a_failed_transaction_is_counted_and_measured():
    metrics = Metrics()

    metrics.store_used("write", 0.02, None)
    metrics.store_used("write", 5, StoreError("the store did not answer"))

    assert samples(metrics) == {'netboot_store_failures_total{access="write"}': 1}
    assert 'netboot_store_transaction_duration_seconds_count{access="write"} 2.0' in metrics.exposition().decode()


def test_the_duration_of_a_step_is_observed_by_step_and_loader_and_none_is_not():
    metrics, at = Metrics(), datetime(2026, 11, 21, tzinfo=UTC)
    boot = BootRecord(HostName("cp1"), Mac("52:54:00:aa:bb:01"), at, at, LoaderKind.GRUB)

    metrics.step_measured(boot, BootStep(Step.OFFER, at, at))
    metrics.step_measured(boot, BootStep(Step.LOADER, at, at, 2.5))

    lines = metrics.exposition().decode().splitlines()
    assert [line for line in lines if "boot_step" in line and "_sum" in line] == [
        'netboot_boot_step_duration_seconds_sum{loader="grub",step="loader"} 2.5'
    ]

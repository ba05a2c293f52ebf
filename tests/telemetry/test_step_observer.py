"""The durations of hosts' boots, as a sink of events observes them."""

import logging
from datetime import UTC, datetime, timedelta

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.telemetry import step_observer
from netboot.telemetry.metrics import Metrics
from netboot.telemetry.step_observer import StepObserver

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MAC = Mac("52:54:00:aa:bb:01")


def observed(observer: StepObserver, host: str | None, seconds: float, step: Step, name: str = "boot.content_sent"):
    data = {"kind": "loader", "boot_file": "undionly.kpxe"}
    at = BEGIN + timedelta(seconds=seconds)
    observer.event_happened(Event(name, at, HostName(host) if host else None, MAC, step, data), logging.INFO)


def counts(metrics: Metrics) -> list[str]:
    return [line for line in metrics.exposition().decode().splitlines() if "seconds_count" in line or "_sum" in line]


def test_the_boots_of_two_hosts_are_measured_each_for_itself_and_without_their_names():
    metrics = Metrics()
    observer = StepObserver(metrics)

    for host, began in (("cp1", 0), ("w1", 1)):
        observed(observer, host, began, Step.OFFER, "boot.offered")
    for host, sent in (("cp1", 3), ("w1", 5)):
        observed(observer, host, sent, Step.LOADER)

    assert counts(metrics) == [
        'netboot_boot_step_duration_seconds_count{loader="ipxe-bios",step="loader"} 2.0',
        'netboot_boot_step_duration_seconds_sum{loader="ipxe-bios",step="loader"} 7.0',
    ]


def test_unregistered_machines_are_not_observed():
    metrics = Metrics()
    observer = StepObserver(metrics)

    observed(observer, None, 0, Step.OFFER, "boot.offered")
    observed(observer, None, 3, Step.LOADER)

    assert counts(metrics) == []


def test_the_boot_whose_last_step_is_the_oldest_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(step_observer, "MOST_BOOTS", 2)
    metrics = Metrics()
    observer = StepObserver(metrics)
    for host in ("cp1", "cp2", "w1"):
        observed(observer, host, 0, Step.OFFER, "boot.offered")

    for host in ("w1", "cp2", "cp1"):
        observed(observer, host, 2, Step.LOADER)

    assert counts(metrics)[0] == 'netboot_boot_step_duration_seconds_count{loader="ipxe-bios",step="loader"} 2.0'

"""The metrics of one running daemon. Kept in plain numbers; a reader gets them in Prometheus' form.

A label has few values: none has the name of a host, an address or a text that a machine sent.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from netboot.model.boot.boot_record import BootRecord, BootStep
from netboot.model.install.event import Event
from netboot.model.release import ContentKind

# Every metric is declared with its labels, so that a misspelt one fails in the first test that meets it.
COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "events": ("Events by name; those over their limit once a minute", ("event",)),
    "alarms": ("Events `boot.alarm_raised`", ()),
    "event_clients_dropped": ("Clients of /api/v1/events that were disconnected because they did not read", ()),
    "dhcp_offered": ("Offers and acknowledgements that were sent", ("arch", "kind")),
    "dhcp_ignored": ("DHCP datagrams without a reply", ("reason",)),
    "dhcp_left_out": ("Options that did not fit into a reply", ("option",)),
    "lease_answered": ("Answers of the lease server, by kind", ("answer",)),
    "lease_probes_lost": ("ARP probes that the kernel did not take", ()),
    "tftp_transfers": ("TFTP transfers by their end", ("interface", "outcome")),
    "tftp_bytes": ("Bytes of boot files in TFTP transfers that have ended", ("interface",)),
    "tftp_refused": ("TFTP requests that got an error or no reply", ("interface", "reason")),
    "tftp_unknown_tid": ("Datagrams to a transfer from another address or port (TFTP error 5)", ("interface",)),
    "tftp_send_failures": ("TFTP datagrams that the kernel did not take", ("interface",)),
    "http_requests": ("HTTP requests for documents and boot files", ("area", "status")),
    "http_bytes": ("Bytes of documents and boot files by HTTP", ("area",)),
    "http_malformed": ("HTTP requests that were refused with 400", ()),
    "http_refused": ("HTTP requests that were refused before they reached a handler", ("reason",)),
    "content_requests": ("Requests below /content/, /ostree/ and /v2/", ("kind", "status")),
    "content_bytes": ("Bytes sent below /content/, /ostree/ and /v2/", ("kind",)),
    "admin_connections_refused": (
        "Connections beyond loopback to the administration that were refused",
        ("reason",),
    ),
    "registry_connections_refused": ("TLS connections to the registry that were refused", ("reason",)),
    "hook_deliveries": ("Attempts to deliver events to hooks, by their outcome", ("hook", "outcome")),
    "power_actions": ("Power actions on machines by their end", ("action", "outcome")),
    "rollout_commands": ("Commands of rollouts that ended, or that wait for a person", ("command", "outcome")),
    "logins": ("Logins of users by their outcome", ("outcome",)),
    "admin_refused": ("Requests to the administration that were refused for lack of a right", ("reason",)),
    "log_lines": ("Lines of machines' logs that were taken", ("transport",)),
    "log_lines_dropped": ("Lines of machines' logs that are not kept", ("reason",)),
    "captured_packets": ("Packets and HTTP requests that were taken for captures", ("protocol",)),
    "captured_packets_dropped": ("Packets and HTTP requests that are not in captures", ("reason",)),
    "datagrams_lost": ("Datagrams that were cut, or that the kernel did not take", ("port", "reason")),
    "datagram_faults": ("Datagrams whose handling failed; a bug if not zero", ("port",)),
    "store_changes": ("Changes by others to a shared store that were noted: by notification, or by a poll", ("by",)),
    "store_failures": ("Transactions of the store that failed or did not end in time", ("access",)),
}
HISTOGRAMS: Final[Mapping[str, tuple[str, tuple[str, ...], tuple[float, ...]]]] = {
    "boot_step_duration_seconds": (
        "Time from the step before in the boot of a registered host to this one",
        ("step", "loader"),
        (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600),
    ),
    "store_transaction_duration_seconds": (
        "Time of a transaction of the store, from the wait for a connection to its end",
        ("access",),
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    ),
}
GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "build_info": ("Always 1; the running version", ("version",)),
    "hosts": ("Declared hosts by the state of their install", ("state", "armed")),
    "tasks": ("Tasks of the daemon's event loop", ()),
    "hosts_not_ready": ("Declared hosts that could not be installed now: what they need is missing", ("armed",)),
    "boots_overdue": ("Running boots of hosts that wait for a step longer than its limit", ()),
    "content_damaged_files": ("Files that are damaged and not served", ()),
    "content_scrubbed_timestamp_seconds": ("When the last verification of all content ended", ()),
    "nodes": ("Declared hosts by the state of their updates, counted every minute", ("state",)),
    "unregistered_machines": ("Machines that requested a boot and are not declared", ()),
    "other_servers": ("Other DHCP and PXE servers that were seen in the last day", ("effect",)),
    "appliances": ("Appliances of a shared store, by whether they give signs of life", ("state",)),
    "appliances_differ": ("Running appliances of which hosts, content or key differ from this one's", ("part",)),
    "problems": ("What keeps machines from being served as declared: problems of the status", ()),
    "configuration_rejected": ("1 if the files have faults, so that those accepted before are in force", ()),
    "cluster_secret_remaining_seconds": ("Time until the first secret of this kind ends", ("use", "secret")),
    "admin_certificate_remaining_seconds": ("Time until the certificate of the administration ends", ()),
    "registry_certificate_remaining_seconds": ("Time until the certificate of the registry ends", ()),
    "registry_connections": ("Open TLS connections of the registry", ()),
    "queue_length": ("Entries that wait in memory", ("queue", "interface")),
    "datagrams_waiting_bytes": ("Memory of the datagrams that wait in the kernel", ("interface", "port")),
    "tftp_transfers_running": ("TFTP transfers that run now", ("interface",)),
    "http_connections": ("Connections to the boot LAN's HTTP", ()),
    "sessions": ("Logins of users that are valid now", ()),
    "rollout_hosts": ("Hosts of the active rollout by their phase", ("phase",)),
    "power_actions_open": ("Power actions that are requested and have not ended", ()),
    "power_actions_unknown": ("Hosts of which it is not known whether their last power action was done", ()),
    "uploads": ("Uploads that are received, wait for their import, or are imported", ("state",)),
}


@dataclass(slots=True)
class _Count:
    value: float = 0
    since: float = field(default_factory=time.time)  # seconds since 1970


@dataclass(slots=True)
class _Distribution:
    """The observations of a histogram with one set of labels: `counts` between bounds, the last above all of them."""

    counts: list[int]
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a gauge now, with the values of its labels in their declared order."""

    gauge: str
    value: float
    labels: tuple[str, ...] = ()


class Metrics(Collector):
    """Counts what is declared above; raises KeyError for another name, ValueError for other labels.

    For the thread of the event loop.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], _Count] = {}  # by name and the values of its labels
        self._distributions: dict[tuple[str, ...], _Distribution] = {}
        self._sources: list[Callable[[], Iterable[Reading]]] = []
        for name, (_, labels) in COUNTERS.items():
            if not labels:
                self._count_of(name, {})
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter; its labels are exactly those that were declared, in their order."""
        self._count_of(name, labels).value += amount

    def total(self, name: str, /, **labels: str) -> int:
        """Return the sum of a counter over all its labels that are not given."""
        wanted = [labels.get(label) for label in COUNTERS[name][1]]
        return int(
            sum(
                count.value
                for (counted, *values), count in self._counts.items()
                if counted == name and all(want in (None, value) for want, value in zip(wanted, values, strict=True))
            )
        )

    def step_measured(self, boot: BootRecord, step: BootStep) -> None:
        """Observe how long a step of a boot took."""
        if step.took_s is not None:
            loader = boot.loader.value
            self.observe("boot_step_duration_seconds", step.took_s, step=step.step.value, loader=loader)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add an observation to a histogram; its labels as those of `count`."""
        _, declared, bounds = HISTOGRAMS[name]
        key = (name, *labels.values())
        found = self._distributions.get(key)
        if found is None:
            _check_labels(name, tuple(labels), declared)
            found = self._distributions[key] = _Distribution([0] * (len(bounds) + 1))
        found.counts[bisect_left(bounds, value)] += 1
        found.total += value

    def read_gauges(self, source: Callable[[], Iterable[Reading]]) -> None:
        """Read gauges from `source` at each exposition; it must return at once."""
        self._sources.append(source)

    def event_happened(self, event: Event, _level: int) -> None:
        """Count an event by its name; one with `count` stands for as many that were not recorded."""
        count = event.data.get("count")
        amount = count if isinstance(count, int) else 1
        self.count("events", amount, event=event.name)
        if event.name == "boot.alarm_raised":
            self.count("alarms", amount)

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        """Count one answer of the content trees."""
        self.count("content_requests", kind=kind.value, status=str(int(status)))
        self.count("content_bytes", bytes_sent, kind=kind.value)

    def store_used(self, access: str, seconds: float, fault: Exception | None) -> None:
        """Record one transaction of the store; `fault`: how the store failed."""
        self.observe("store_transaction_duration_seconds", seconds, access=access)
        self.count("store_failures", 0 if fault is None else 1, access=access)  # 0: an alert sees the first failure

    def change_noted(self, by: str) -> None:
        """Count how this appliance learned that another one may have changed the store."""
        self.count("store_changes", by=by)

    def _count_of(self, name: str, labels: Mapping[str, str]) -> _Count:
        key = (name, *labels.values())
        found = self._counts.get(key)
        if found is None:
            _check_labels(name, tuple(labels), COUNTERS[name][1])
            found = self._counts[key] = _Count()
        return found

    def collect(self) -> Iterator[Metric]:
        """Give every metric to a registry."""
        yield from self._collect_counters()
        yield from self._collect_histograms()
        yield from self._collect_gauges()

    def _collect_counters(self) -> Iterator[CounterMetricFamily]:
        families = {
            name: CounterMetricFamily(f"netboot_{name}", text, labels=labels)
            for name, (text, labels) in COUNTERS.items()
        }
        for (name, *labels), count in self._counts.items():
            families[name].add_metric(labels, count.value, created=count.since)
        yield from families.values()

    def _collect_histograms(self) -> Iterator[HistogramMetricFamily]:
        families = {
            name: HistogramMetricFamily(f"netboot_{name}", text, labels=labels)
            for name, (text, labels, _) in HISTOGRAMS.items()
        }
        for (name, *labels), found in self._distributions.items():
            bounds = [*(str(float(bound)) for bound in HISTOGRAMS[name][2]), "+Inf"]
            buckets = list(zip(bounds, accumulate(found.counts), strict=True))
            families[name].add_metric(labels, buckets, sum_value=found.total)
        yield from families.values()

    def _collect_gauges(self) -> Iterator[GaugeMetricFamily]:
        families = {
            name: GaugeMetricFamily(f"netboot_{name}", text, labels=labels) for name, (text, labels) in GAUGES.items()
        }
        for reading in (reading for source in self._sources for reading in source()):
            if len(reading.labels) != len(GAUGES[reading.gauge][1]):
                raise ValueError(f"{reading.gauge} is read by {', '.join(GAUGES[reading.gauge][1])}")
            families[reading.gauge].add_metric(reading.labels, reading.value)
        yield from families.values()

    def exposition(self) -> bytes:
        """Write all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


def _check_labels(name: str, found: tuple[str, ...], declared: tuple[str, ...]) -> None:
    if found != declared:
        raise ValueError(f"{name} is counted by {', '.join(declared)}, not by {', '.join(found)}")

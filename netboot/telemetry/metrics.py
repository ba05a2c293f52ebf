"""The counters of one running daemon. Counted in plain numbers; a reader gets them in Prometheus' form."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from netboot.model.install.event import Event
from netboot.model.release import ContentKind

# Every counter is declared with its labels, so that a misspelt one fails in the first test that meets it.
COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "events": ("Events by name; those over their limit once a minute", ("event",)),
    "event_clients_dropped": ("Clients of /api/v1/events that were disconnected because they did not read", ()),
    "dhcp_offered": ("Offers and acknowledgements that were sent", ("arch", "kind")),
    "dhcp_ignored": ("DHCP datagrams without a reply", ("reason",)),
    "dhcp_left_out": ("Options that did not fit into a reply", ("option",)),
    "lease_answered": ("Answers of the lease server, by kind", ("answer",)),
    "lease_probes_lost": ("ARP probes that the kernel did not take", ()),
    "tftp_transfers": ("TFTP transfers by their end", ("interface", "outcome")),
    "tftp_refused": ("TFTP requests that got an error or no reply", ("interface", "reason")),
    "tftp_unknown_tid": ("Datagrams to a transfer from another address or port (TFTP error 5)", ("interface",)),
    "tftp_send_failures": ("TFTP datagrams that the kernel did not take", ("interface",)),
    "http_requests": ("HTTP requests for documents and boot files", ("area", "status")),
    "http_malformed": ("HTTP requests that were refused with 400", ()),
    "http_refused": ("HTTP requests that were refused before they reached a handler", ("reason",)),
    "content_requests": ("Requests below /content/ and /ostree/", ("kind", "status")),
    "content_bytes": ("Bytes sent below /content/ and /ostree/", ("kind",)),
    "datagrams_lost": ("Datagrams that were cut, or that the kernel did not take", ("port", "reason")),
    "datagram_faults": ("Datagrams whose handling failed; a bug if not zero", ("port",)),
}


@dataclass(slots=True)
class _Count:
    value: int = 0
    since: float = field(default_factory=time.time)  # seconds since 1970


class Metrics(Collector):
    """Counts what is declared in `COUNTERS`; raises KeyError for another name, ValueError for other labels.

    For the thread of the event loop.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], _Count] = {}  # by name and the values of its labels
        for name, (_, labels) in COUNTERS.items():
            if not labels:
                self._count_of(name, {})
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter; its labels are exactly those that were declared, in their order."""
        self._count_of(name, labels).value += 1

    def event_happened(self, event: Event, _level: int) -> None:
        """Count an event by its name; one with `count` stands for as many that were not recorded."""
        count = event.data.get("count")
        self._count_of("events", {"event": event.name}).value += count if isinstance(count, int) else 1

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        """Count one answer of the content trees."""
        self.count("content_requests", kind=kind.value, status=str(int(status)))
        self._count_of("content_bytes", {"kind": kind.value}).value += bytes_sent

    def _count_of(self, name: str, labels: Mapping[str, str]) -> _Count:
        key = (name, *labels.values())
        found = self._counts.get(key)
        if found is None:
            if tuple(labels) != COUNTERS[name][1]:
                raise ValueError(f"{name} is counted by {', '.join(COUNTERS[name][1])}, not by {', '.join(labels)}")
            found = self._counts[key] = _Count()
        return found

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give every counter to a registry."""
        families = {
            name: CounterMetricFamily(f"netboot_{name}", text, labels=labels)
            for name, (text, labels) in COUNTERS.items()
        }
        for (name, *labels), count in self._counts.items():
            families[name].add_metric(labels, count.value, created=count.since)
        yield from families.values()

    def exposition(self) -> bytes:
        """Write all counters in the text format of Prometheus."""
        return generate_latest(self._registry)

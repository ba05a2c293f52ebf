"""The counters of one running daemon, in Prometheus' form. Each app has a registry of its own."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

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
    "http_malformed": ("Data on the HTTP port that was no HTTP request", ()),
    "http_refused": ("HTTP requests that were refused before they reached a handler", ("reason",)),
    "content_requests": ("Requests below /content/ and /ostree/", ("kind", "status")),
    "content_bytes": ("Bytes sent below /content/ and /ostree/", ("kind",)),
    "datagrams_lost": ("Datagrams that were cut, or that the kernel did not take", ("port", "reason")),
    "datagram_faults": ("Datagrams whose handling failed; a bug if not zero", ("port",)),
}


class Metrics:
    """Counts what is declared in `COUNTERS`; raises KeyError for anything else."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(f"netboot_{name}", text, labels, registry=self._registry)
            for name, (text, labels) in COUNTERS.items()
        }
        self._children: dict[tuple[str, tuple[str, ...]], Counter] = {}

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter; its labels are exactly those that were declared."""
        self._child(name, labels).inc()

    def event_happened(self, event: Event, _level: int) -> None:
        """Count an event by its name; one with `count` stands for as many that were not recorded."""
        count = event.data.get("count")
        self._child("events", {"event": event.name}).inc(count if isinstance(count, int) else 1)

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        """Count one answer of the content trees."""
        self.count("content_requests", kind=kind.value, status=str(int(status)))
        self._child("content_bytes", {"kind": kind.value}).inc(bytes_sent)

    def _child(self, name: str, labels: Mapping[str, str]) -> Counter:
        key = (name, tuple(labels.values()))
        child = self._children.get(key)
        if child is None:
            counter = self._counters[name]
            child = self._children[key] = counter.labels(**labels) if labels else counter
        return child

    def exposition(self) -> bytes:
        """Write all counters in the text format of Prometheus."""
        return generate_latest(self._registry)

"""Observation where no packet socket can be opened: netboot serves without it, and reports why."""

from ipaddress import IPv4Address
from pathlib import Path

import structlog
from fixtures.services import BuiltServices, WithServices

from netboot.boot.sessions.other_servers import OtherServers
from netboot.model.host.network import Interface
from netboot.serve.dhcp.reply_listener import ReplyListener
from netboot.telemetry.metrics import Metrics

HERE = IPv4Address("192.0.2.10")
MISSING = Interface("nosuch0", 4711, HERE, (HERE,))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_interface_that_cannot_be_observed_is_reported_once_and_tried_again(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> None:
        others = OtherServers(
            services.seen, hosts=services.registry.hosts, events=services.event_bus, clock=services.clock
        )
        listener, before = ReplyListener(others, leases=False, counters=Metrics()), open_descriptors()
        with structlog.testing.capture_logs() as lines:
            listener.serve([MISSING])
            listener.retry()
            (reason,) = listener.unobserved
            listener.serve([])
        assert [(line["event"], line["reason"]) for line in lines] == [("dhcp.observation_failed", reason)]
        assert reason.startswith("cannot observe other DHCP servers on nosuch0: ")
        assert reason.endswith("; give the daemon CAP_NET_RAW, as netboot.service does")
        assert (listener.unobserved, open_descriptors()) == ([], before)
        listener.close()

    with_services(scenario)

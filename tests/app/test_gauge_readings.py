"""The gauges at a scrape: true, complete, and no more of them with 5,000 hosts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.services import BuiltServices, WithServices

from netboot import __version__
from netboot.app.gauge_readings import GaugeReadings
from netboot.content.library.uploads import Uploads
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.clock import SYSTEM_CLOCK
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.operate.content.upload_imports import UploadImports
from netboot.operate.hooks.hook_outbox import HookOutbox
from netboot.operate.hooks.hook_service import HookService
from netboot.telemetry.metrics import Metrics

MOST_HOSTS = 5_000


def mac(number: int) -> Mac:
    return Mac.parse(f"52:54:00:00:{number // 256:02x}:{number % 256:02x}")


@pytest.fixture
def hosts(tmp_path: Path) -> HostSet:
    common: dict[str, Any] = {"boot_media": "ol8u10-x86_64", "release": "ock-1.31-amd64", "disk": "/dev/vda"}
    names = [HostName(f"w{number}") for number in range(MOST_HOSTS)]
    cards = [(mac(number),) for number in range(MOST_HOSTS)]
    made = [Host(name, Role.WORKER, macs, **common) for name, macs in zip(names, cards, strict=True)]
    return HostSet.of(Cluster("rackone"), made)


def gauges(services: BuiltServices, problems: list[str]) -> Metrics:
    """Make the metrics of these services."""
    metrics = Metrics()
    uploads = UploadImports(
        Uploads(services.directory), lambda *_: [], events=services.event_bus, now=services.clock.now
    )
    store: Any = SimpleNamespace(
        event_log=services.event_log,
        boots=services.boots_kept,
        machines=services.machines,
        served=services.served,
        deliveries=None,
    )
    readings = GaugeReadings(
        store,
        services.install_moves,
        services.seen,
        uploads,
        HookService(
            HookOutbox([], appliance="here"),
            store.deliveries,
            events=services.event_bus,
            metrics=metrics,
            clock=SYSTEM_CLOCK,
        ),
        problems=lambda: problems,
        is_rejected=lambda: bool(problems),
        others=(),
    )
    metrics.read_gauges(readings.read)
    return metrics


def values(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]
    return {name.removeprefix("netboot_"): float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_hosts_are_counted_by_state_without_those_that_are_no_longer_declared(with_services: WithServices):
    async def scenario(services: BuiltServices) -> dict[str, float]:
        moves, hosts = services.install_moves, services.hosts
        await moves.arm_all([HostName("w1"), HostName("w2")], reason="a test", attempts=1)
        moves.record_offer(HostName("w1"))
        services.use(hosts=HostSet.of(hosts.cluster, (host for host in hosts if host.name != "w2")))
        services.seen.announce(BootClient(mac(60_000), Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE), 1.0)
        return values(gauges(services, ["the port is in use"]))

    found = with_services(scenario)

    hosts = {name: value for name, value in found.items() if name.startswith("hosts{")}
    assert (len(hosts), sum(hosts.values())) == (14, MOST_HOSTS - 1)
    assert hosts['hosts{armed="true",state="registered"}'] == 1
    assert hosts['hosts{armed="false",state="registered"}'] == MOST_HOSTS - 2
    assert found[f'build_info{{version="{__version__}"}}'] == 1
    assert (found["unregistered_machines"], found["problems"], found["configuration_rejected"]) == (1, 1, 1)
    queues = {name: value for name, value in found.items() if name.startswith("queue_length{")}
    assert queues == {
        'queue_length{interface="",queue="events"}': 2,  # the armings
        'queue_length{interface="",queue="boots"}': 0,
        'queue_length{interface="",queue="machines"}': 1,
        'queue_length{interface="",queue="served-documents"}': 0,
        'queue_length{interface="",queue="offers"}': 1,
        'queue_length{interface="",queue="hooks"}': 0,
    }
    assert found['uploads{state="waiting"}'] == 0


def test_the_size_of_a_scrape_does_not_depend_on_the_number_of_hosts(with_services: WithServices):
    async def scenario(services: BuiltServices) -> int:
        for number in range(MOST_HOSTS):
            client = BootClient(mac(number), Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
            services.seen.announce(client, 1.0)
        return len(gauges(services, []).exposition())

    assert with_services(scenario) < 100_000

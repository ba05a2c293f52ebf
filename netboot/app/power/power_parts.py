"""Builds the power actions of the running daemon, and the BMCs that they are sent to."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from netboot.app.appliances.known_appliances import KnownAppliances
from netboot.app.store_access import OpenStore
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.content.assets import assets_directory
from netboot.errors import ConfigError
from netboot.model import urls
from netboot.model.boot.boot_client import CPU_OF_ARCH, Arch, BootClient, BootProtocol, Cpu, Stage, arch_named
from netboot.model.clock import Clock
from netboot.model.host.host import Host
from netboot.operate.power.boot_lan import BootLans, NoBootUri, address_for
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.power.power_sender import PowerSender
from netboot.settings.bmc_setting import BmcSettings
from netboot.store.power.power_intents import PowerIntents
from netboot.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from netboot.bmc.bmcs import Bmcs

log = structlog.get_logger()

_FIRMWARE = {Cpu.ARM64: Arch.ARM64_UEFI_HTTP, Cpu.RISCV64: Arch.RISCV64_UEFI_HTTP}


def power_requests(
    store: OpenStore,
    bmcs: "Bmcs",
    install_moves: InstallMoves,
    registry: LiveRegistry,
    *,
    seen: SeenMachines,
    appliances: KnownAppliances,
    lans: Callable[[], BootLans],
    metrics: Metrics,
    clock: Clock,
) -> PowerRequests:
    """Build the power actions of the daemon that has opened `store`; `lans` are those that it serves."""
    sender = PowerSender(
        bmcs,
        PowerIntents(store.database),
        install_moves,
        store.events,
        hosts=registry.hosts,
        boot_uri=partial(boot_uri, registry, seen, lans),
        store_events=store.store_events,
        metrics=metrics,
        clock=clock,
        observed={},
    )
    return PowerRequests(
        sender,
        activity=store.activity(),
        owner=store.database.writer,
        running_ids=appliances.running_ids,
        is_shared=store.database.is_shared,
        new_id=lambda: clock.random_bytes(6).hex(),
    )


def bmcs_of(settings: BmcSettings, directory: Path) -> "Bmcs":
    """Build what uses the BMCs of hosts; `directory` is that of netboot.yaml.

    A file of quirks with faults is not used, and stops no start.
    """
    from netboot.bmc.bmcs import Bmcs
    from netboot.bmc.quirks import read_quirks

    shipped = assets_directory() / "bmc" / "quirks.yaml"
    quirks = read_quirks(shipped)
    if settings.quirks is not None:
        try:
            quirks = read_quirks(shipped, settings.quirks)
        except ConfigError as error:
            log.error("bmc.quirks_refused", problems=list(map(str, error.problems)))
    return Bmcs(quirks, directory / settings.credentials, timeout_s=settings.timeout_s, parallel=settings.parallel)


def boot_uri(registry: LiveRegistry, seen: SeenMachines, lans: Callable[[], BootLans], host: Host) -> str | NoBootUri:
    """Return the URL of the loader that the firmware of a host fetches by HTTP, or why there is none."""
    machine = seen.machine_of(host.mac)
    number = arch_named(machine.arch) if machine is not None and machine.arch is not None else None
    cpu = CPU_OF_ARCH.get(number) if number is not None else None
    arch = _FIRMWARE.get(cpu, Arch.X64_UEFI_HTTP) if cpu is not None else Arch.X64_UEFI_HTTP
    client = BootClient(host.mac, arch, BootProtocol.HTTP, Stage.FIRMWARE)
    loaders = (host.loader,) if host.loader is not None else registry.now.policy.loaders_for(client)
    if not loaders:
        return NoBootUri(f"no loader for UEFI HTTP boot of {host.name} is there; see bootfiles.loaders")
    served = lans()
    machines = [each for mac in host.macs if (each := seen.machine_of(mac)) is not None]
    address = address_for(host, machines, served)
    if isinstance(address, NoBootUri):
        return address
    return urls.machine_file(urls.base_url(address, served.port), host.mac, loaders[0].rpartition("/")[2])

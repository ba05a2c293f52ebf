"""Derives the inputs of each package from the settings. Opens nothing and starts nothing."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from netboot import __version__
from netboot.boot.documents.documents import Documents
from netboot.boot.documents.host_content import HostContent
from netboot.boot.documents.node_update_rules import NodeUpdateRules
from netboot.boot.firmware import loader_choice as loaders
from netboot.boot.live_registry import Registry
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.record_files import RecordFiles
from netboot.boot_records.record_writer import MeasureStore, RecordWriter
from netboot.content.assets import assets_directory
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import CertificateError, Problem
from netboot.model import urls
from netboot.model.boot.offer import Policy, UnknownHosts
from netboot.model.clock import utc_now
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.network import DhcpMode, InterfaceSetting, choose_address
from netboot.model.install.ignition_way import IgnitionWay
from netboot.model.lease import LeasePolicy
from netboot.model.urls import ContentPlace
from netboot.operate.readiness import Readiness, ServerFacts
from netboot.registry.load import Configuration
from netboot.render.template_engine import Engine
from netboot.serve.net.links import Link
from netboot.settings.settings import Settings
from netboot.telemetry.metrics import Metrics

_SERVERS: Final = ("network", "dhcp", "tftp", "http", "registry", "admin")
NEED_RESTART: Final = (*_SERVERS, "store", "log", "install", "content", "logs", "records", "updates", "bmc", "cluster")


def registry_for(
    settings: Settings,
    configuration: Configuration,
    *,
    now: Callable[[], datetime] = utc_now,
    is_held: Callable[[HostName], bool] = lambda _: False,
) -> tuple[Registry, tuple[Problem, ...]]:
    """Build what requests are answered from, and list every problem of a named boot loader. Reads the boot files."""
    templates = [*settings.render.templates, assets_directory() / "templates"]  # the operator's before ours
    documents = Documents(
        Engine(templates),
        HostContent(settings.content.directory),
        place=ContentPlace(settings.content.url),
        sets_clock=settings.install.set_clock,
        embeds_ignition=settings.install.ignition is IgnitionWay.EMBED,
        log_port=settings.logs.port,
        updates=_update_rules(settings, configuration.files[0].parent if configuration.files else Path()),
        now=now,
        is_held=is_held,
    )
    boot_files = BootFiles(settings.bootfiles.directories)
    policy, problems = _policy_for(settings, boot_files, configuration.hosts)
    policy = replace(policy, left_out=configuration.left_out, is_complete=not configuration.faults)
    if configuration.left_out and policy.unknown is UnknownHosts.INSPECT:  # until the files are sound
        policy = replace(policy, unknown=UnknownHosts.WAIT)
    if configuration.hides_hosts:  # what seems unregistered may be declared in the file that cannot be read
        policy = replace(policy, unknown=UnknownHosts.IGNORE)
    return Registry(configuration.hosts, policy, documents, boot_files), problems


def _update_rules(settings: Settings, directory: Path) -> NodeUpdateRules:
    """Return what nodes do for updates; `directory` is that of `netboot.yaml`, beside which netboot's CA is."""
    updates, registry = settings.updates, settings.registry
    ca_pem = ""
    if updates.registry and registry.tls_port and registry.certificate is not None:
        from netboot.operate.certificates.authority import CA_DIRECTORY, CertificateAuthority  # slow to load

        with suppress(CertificateError):  # the check of the registry's certificate reports it
            authority = CertificateAuthority.read(directory / CA_DIRECTORY)
            ca_pem = authority.anchor_for(registry.certificate) if authority is not None else ""
    return NodeUpdateRules(
        settings.content.directory, updates.registry, updates.report, tls_port=registry.tls_port, ca_pem=ca_pem
    )


def _policy_for(settings: Settings, bootfiles: BootFiles, hosts: HostSet) -> tuple[Policy, tuple[Problem, ...]]:
    """Return the policy of boot decisions, and every problem of a named boot loader."""
    rules = [choice.rule() for choice in settings.bootfiles.loaders]
    policy, problems = loaders.policy(settings.hosts.unknown, rules, hosts=hosts, bootfiles=bootfiles)
    address_announces = settings.dhcp.mode is DhcpMode.OFF
    return replace(
        policy,
        address_announces=address_announces,
        inspect_media=settings.hosts.inspect_media,
        requires=settings.install.require,
    ), problems


def readiness_for(settings: Settings, registry: Registry) -> Readiness:
    """Build the readiness check of hosts; a missing boot loader is a reason, not an error."""
    policy, faults = _policy_for(settings, registry.boot_files, registry.hosts)
    server = ServerFacts(settings.dhcp.mode, bool(settings.network.interfaces), bool(settings.dhcp.pool), faults)
    return Readiness(registry.documents, policy, bootfiles=registry.boot_files, server=server)


def lease_policy_for(settings: Settings) -> LeasePolicy:
    """Return the lease settings that the registry does not give."""
    dhcp = settings.dhcp
    pool = tuple(replace(each.range, network=each.network, router=each.router) for each in dhcp.pool)
    return LeasePolicy(pool, dhcp.lease_s, dhcp.router, dhcp.nameservers, dhcp.domain, dhcp.ntp_servers)


def record_writer_for(
    settings: Settings, counters: Metrics, store_size: MeasureStore, *, now: Callable[[], datetime]
) -> RecordWriter | None:
    """Return the writer of machines' logs and captures; None: neither is kept."""
    records = settings.records
    if not (settings.logs.port or records.captures):
        return None
    budget = DiskBudget(RecordFiles(records.directory), records.budget, now=now)
    return RecordWriter(budget, counters, application=f"netboot {__version__}", store_size=store_size)


def wanted_interfaces(settings: Settings) -> list[InterfaceSetting]:
    return [InterfaceSetting(each.name, each.address, each.advertise) for each in settings.network.interfaces]


def machine_addresses_of(settings: Settings, links: Mapping[str, Link]) -> list[IPv4Address]:
    """List the addresses at which machines on each interface reach this appliance, as far as they are known here."""
    found = []
    for interface in settings.network.interfaces:
        address = interface.advertise or interface.address
        if address is None and interface.name in links and links[interface.name].addresses:
            address = choose_address(links[interface.name].addresses, None)
        if address is not None:
            found.append(address)
    return found


def base_urls_of(settings: Settings, links: Mapping[str, Link]) -> list[str]:
    """List the URLs that machines on each interface get, the first one's first; none if none is known here."""
    found = machine_addresses_of(settings, links) or settings.http.listen[:1]
    return [urls.base_url(address, settings.http.port) for address in found]


def planned_urls(settings: Settings, links: Mapping[str, Link]) -> list[str]:
    """List the URLs with which documents are shown to an operator: as machines get them, else one with `SERVER`.

    What has it is sent to no machine, BMC or other appliance.
    """
    return base_urls_of(settings, links) or [urls.base_url("SERVER", settings.http.port)]


def as_reloaded(running: Settings, read: Settings) -> Settings:
    """Return the settings after a reload: the sections in `NEED_RESTART` stay as they were."""
    return read.model_copy(update={section: getattr(running, section) for section in NEED_RESTART})


def needs_restart(running: Settings, read: Settings) -> list[str]:
    return [section for section in NEED_RESTART if getattr(running, section) != getattr(read, section)]

"""What each room is told of the settings, in its own words. Opens nothing and starts nothing."""

from typing import Final

from netboot.boot import loaders
from netboot.boot.documents import Documents
from netboot.boot.readiness import Readiness, ServerFacts
from netboot.config.settings import Settings
from netboot.content.assets import assets_directory
from netboot.content.bootfiles import BootFiles
from netboot.errors import ConfigError, Problem
from netboot.model.host import HostSet
from netboot.model.lease import LeasePolicy
from netboot.model.network import WantedInterface
from netboot.model.offer import Policy
from netboot.render.content_place import ContentPlace
from netboot.render.engine import Engine
from netboot.servers.content_worker import WorkerOptions
from netboot.servers.dhcp import DhcpSettings
from netboot.servers.http_shares import ShareLimits
from netboot.servers.tftp import TftpSettings
from netboot.servers.tftp_transfers import TransferLimits

DRAIN_S: Final = 20.0  # a kernel and initrd on their way at SIGTERM still arrive
NEED_RESTART: Final = ("network", "dhcp", "tftp", "http", "admin", "store", "log", "install", "content")


def documents_for(settings: Settings) -> Documents:
    """Build the maker of documents: the operator's templates are searched before ours."""
    templates = [*settings.render.templates, assets_directory() / "templates"]
    content = settings.content
    place = ContentPlace(content.url, content.port if content.workers else None)
    return Documents(Engine(templates), content.directory, place=place)


def policy_for(settings: Settings, bootfiles: BootFiles, hosts: HostSet) -> Policy:
    """Gather what decides beside host and install; raise ConfigError for a loader that is not there."""
    rules = [choice.rule() for choice in settings.bootfiles.loaders]
    return loaders.policy(settings.hosts.unknown, rules, hosts=hosts, bootfiles=bootfiles)


def readiness_for(settings: Settings, documents: Documents, *, bootfiles: BootFiles, hosts: HostSet) -> Readiness:
    """Build what computes why a host cannot be installed; a boot loader that is not there is a reason, no error."""
    faults: tuple[Problem, ...] = ()
    try:
        policy = policy_for(settings, bootfiles, hosts)
    except ConfigError as error:
        faults = error.problems
        policy = Policy(settings.hosts.unknown, bootfiles.loaders(), bootfiles.other_loaders())
    server = ServerFacts(settings.dhcp.mode, bool(settings.network.interfaces), faults)
    return Readiness(documents, policy, bootfiles=bootfiles, server=server)


def lease_policy_for(settings: Settings) -> LeasePolicy:
    """Gather what leases say beside the registry."""
    dhcp = settings.dhcp
    return LeasePolicy(dhcp.pool, dhcp.lease_s, dhcp.router, dhcp.nameservers, dhcp.domain)


def wanted_interfaces(settings: Settings) -> list[WantedInterface]:
    """Name the interfaces on which machines boot."""
    return [WantedInterface(interface.name, interface.address) for interface in settings.network.interfaces]


def dhcp_settings(settings: Settings) -> DhcpSettings:
    """Gather what the DHCP doors want to know."""
    dhcp = settings.dhcp
    return DhcpSettings(dhcp.mode, dhcp.port, dhcp.pxe_port, settings.http.port, dhcp.listen)


def tftp_settings(settings: Settings) -> TftpSettings:
    """Gather what the TFTP doors want to know."""
    tftp = settings.tftp
    limits = TransferLimits(total=tftp.max_transfers, per_client=tftp.max_transfers_per_client)
    return TftpSettings(tftp.port, tftp.single_port, limits, settings.http.port)


def share_limits(settings: Settings) -> ShareLimits:
    """Gather what bounds large bodies."""
    return ShareLimits(settings.http.max_streams, settings.http.client_rate)


def worker_options(settings: Settings) -> WorkerOptions:
    """Gather what a content worker is started with."""
    content, http = settings.content, settings.http
    return WorkerOptions(
        str(content.directory),
        content.port,
        content.workers,
        max_streams=http.max_streams,
        client_rate=http.client_rate,
        drain_s=DRAIN_S,
        log_level=settings.log.level.value,
        log_form=settings.log.format.value,
    )


def as_reloaded(running: Settings, read: Settings) -> Settings:
    """Say what a reload takes of the settings that were read: the sections whose doors stay as they were opened, do."""
    return read.model_copy(update={section: getattr(running, section) for section in NEED_RESTART})


def needs_restart(running: Settings, read: Settings) -> list[str]:
    """Name the sections that were changed and that a reload does not touch."""
    return [section for section in NEED_RESTART if getattr(running, section) != getattr(read, section)]

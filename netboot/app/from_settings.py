"""What each room is told of the settings, in its own words. Opens nothing and starts nothing."""

from dataclasses import replace
from typing import Final

from netboot.boot.documents import Documents
from netboot.boot.firmware import loader_choice as loaders
from netboot.content.assets import assets_directory
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import Problem
from netboot.model.boot.offer import Policy
from netboot.model.host.host import HostSet
from netboot.model.host.network import DhcpMode, WantedInterface
from netboot.model.lease import LeasePolicy
from netboot.operate.readiness import Readiness, ServerFacts
from netboot.render.content_place import ContentPlace
from netboot.render.engine import Engine
from netboot.settings.settings import Settings

NEED_RESTART: Final = ("network", "dhcp", "tftp", "http", "admin", "store", "log", "install", "content")


def documents_for(settings: Settings) -> Documents:
    """Build the maker of documents: the operator's templates are searched before ours."""
    templates = [*settings.render.templates, assets_directory() / "templates"]
    return Documents(Engine(templates), settings.content.directory, place=ContentPlace(settings.content.url))


def policy_for(settings: Settings, bootfiles: BootFiles, hosts: HostSet) -> tuple[Policy, tuple[Problem, ...]]:
    """Gather what decides beside host and install, and every problem of a boot loader that is named."""
    rules = [choice.rule() for choice in settings.bootfiles.loaders]
    policy, problems = loaders.policy(settings.hosts.unknown, rules, hosts=hosts, bootfiles=bootfiles)
    return replace(policy, address_announces=settings.dhcp.mode is DhcpMode.OFF), problems


def readiness_for(settings: Settings, documents: Documents, *, bootfiles: BootFiles, hosts: HostSet) -> Readiness:
    """Build what computes why a host cannot be installed; a boot loader that is not there is a reason, no error."""
    policy, faults = policy_for(settings, bootfiles, hosts)
    server = ServerFacts(settings.dhcp.mode, bool(settings.network.interfaces), faults)
    return Readiness(documents, policy, bootfiles=bootfiles, server=server)


def lease_policy_for(settings: Settings) -> LeasePolicy:
    """Gather what leases say beside the registry."""
    dhcp = settings.dhcp
    return LeasePolicy(dhcp.pool, dhcp.lease_s, dhcp.router, dhcp.nameservers, dhcp.domain, dhcp.ntp_servers)


def wanted_interfaces(settings: Settings) -> list[WantedInterface]:
    """Name the interfaces on which machines boot."""
    return [
        WantedInterface(interface.name, interface.address, interface.advertise)
        for interface in settings.network.interfaces
    ]


def as_reloaded(running: Settings, read: Settings) -> Settings:
    """Say what a reload takes of the settings that were read: the sections whose doors stay as they were opened, do."""
    return read.model_copy(update={section: getattr(running, section) for section in NEED_RESTART})


def needs_restart(running: Settings, read: Settings) -> list[str]:
    """Name the sections that were changed and that a reload does not touch."""
    return [section for section in NEED_RESTART if getattr(running, section) != getattr(read, section)]

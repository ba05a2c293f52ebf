"""What the checks of one host get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netboot.boot.decide import Decision, KnownFirmware, decide
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.content.known_machines import KnownMachine
from netboot.errors import Problem
from netboot.model.boot.boot_client import BootClient, Stage
from netboot.model.boot.offer import Ignored, OfferKind
from netboot.model.host.host import Host, HostSet
from netboot.model.install.install import Install
from netboot.operate.planning.host_plan import FIRMWARE

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host. `content` is what the whole appliance serves; `view` is the host as the running daemon shows it.

    `host` is None if no file without a fault declares it, `view` if the daemon does not have it, or none runs.
    """

    name: str
    host: Host | None
    content: ContentFacts
    base_url: str  # of this server, as the host's machine reaches it
    faults: Sequence[Problem] = ()  # of the files
    reasons: Sequence[str] = ()  # why it could not be installed
    known_hosts: Sequence[str] = ()
    view: View | None = None
    daemon_runs: bool = True
    tftp_port: int = 69
    is_appliance: bool = True  # the address of `base_url` is this computer's


@dataclass(frozen=True, slots=True)
class OfferedLoader:
    """What one firmware of a host is offered when it is armed: a loader, or why none."""

    firmware: str  # as docs and `plan` call it
    client: BootClient
    loader: str | None
    reason: str = ""  # the word of docs/events.md
    is_known: bool = False  # the machine was seen with it


def content_of(facts: HostFacts, host: Host) -> ContentFacts:
    """Return the facts of the content with this host and its machines alone."""
    registry = replace(facts.content.registry, hosts=HostSet.of(facts.content.registry.hosts.cluster, [host]))
    machines = [replace(each, host=host) for each in facts.content.known_machines if each.mac in host.macs]
    return replace(facts.content, registry=registry, machines=machines)


def offered_loaders(facts: HostFacts, host: Host, armed: Install) -> list[OfferedLoader]:
    """Decide what each known firmware of a host is offered; what each usual one is if none was seen."""
    machines = content_of(facts, host).known_machines
    seen = [(each, each.client) for each in machines if each.client is not None]
    if seen:
        return [_offered(facts, host, armed, client.firmware, client, known=machine) for machine, client in seen]
    usual = {name: BootClient(host.mac, *kind, Stage.FIRMWARE) for name, kind in FIRMWARE.items()}
    return [_offered(facts, host, armed, name, client) for name, client in usual.items()]


def _offered(
    facts: HostFacts, host: Host, armed: Install, name: str, client: BootClient, *, known: KnownMachine | None = None
) -> OfferedLoader:
    variant = known.learned if known is not None else None
    policy = facts.content.registry.policy
    match decide(client, host, armed, policy, firmware=KnownFirmware(), variant=variant):
        case Decision(offer=offer) if offer.kind is OfferKind.LOADER:
            return OfferedLoader(name, client, offer.boot_file, is_known=known is not None)
        case Decision(offer=offer):
            return OfferedLoader(name, client, None, offer.kind.value, known is not None)
        case Ignored(reason):
            return OfferedLoader(name, client, None, reason.value, known is not None)

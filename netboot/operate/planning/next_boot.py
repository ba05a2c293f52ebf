"""What the machine of a host gets at its next network boot: the offer to each firmware, and the URLs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from netboot.boot.live_registry import Registry
from netboot.model import urls
from netboot.model.host.firmware import LocalBoot
from netboot.model.host.host import Host
from netboot.model.install.ignition_way import IgnitionWay
from netboot.model.install.inspection import Inspection, RequestedBoot
from netboot.model.install.install import Install
from netboot.operate.planning.host_plan import local_boot_texts, offers


@dataclass(frozen=True, slots=True)
class NextBoot:
    """What a machine gets. `urls`: of its script, its boot medium and its release; None where its host names none."""

    offers: Mapping[str, str]  # by kind of firmware
    urls: Mapping[str, str | None]
    ignition: IgnitionWay | None  # None: of a host that is not in force
    updates: str | None = None  # why its node does not get its updates from here although it could
    local_boot: Mapping[str, str] = field(default_factory=dict)  # by kind of firmware: the method, and why


NO_BOOT: Final = NextBoot({}, {}, None)


def next_boot(
    host: Host,
    registry: Registry,
    install: Install,
    requested: RequestedBoot | None,
    *,
    local_boots: Mapping[str, LocalBoot],
    base_url: str,
) -> NextBoot:
    """Return what the machine of a host gets now; `requested` is what it boots once before. May read a small file.

    `local_boots`: what is known of its local boots, by firmware.
    """
    inspection = Inspection(host.mac)
    if requested is not None:
        kind, medium, at = requested.kind, requested.medium, requested.requested_at
        inspection = replace(inspection, requested_at=at, kind=kind, requested_medium=medium)
    documents = registry.documents
    content_url = documents.place.url_for(base_url)
    places = {
        "script": urls.ipxe_script(base_url, host.mac),
        "boot_media": urls.medium(content_url, host.boot_media) if host.boot_media else None,
        "release": urls.release(content_url, host.release) if host.release else None,
    }
    way = IgnitionWay.EMBED if documents.embeds_ignition else IgnitionWay.URL
    problem = documents.updates.problem(host)
    offered = offers(host, registry.policy, install, inspection, local_boots)
    return NextBoot(offered, places, way, problem, local_boot_texts(host, registry.policy, local_boots))

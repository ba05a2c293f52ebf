"""The Kickstart of one install, as for Oracle's `byo` provider: one disk, one OSTree commit, every step reported.

Pure: a host, its URLs and tokens in, text out. The document contains tokens: it is never logged and never stored.
The syntax is the part that Anaconda of EL8, EL9 and EL10 have in common (hence `ostreesetup`), except for time servers.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Final

from netboot.errors import RenderError
from netboot.model import urls
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.install.wipe import Wipe
from netboot.model.urls import HERE, LOG_REPORT, ContentPlace
from netboot.render import kernel_line
from netboot.render.embedded_ignition import ARCHIVE_NAME
from netboot.render.template_engine import Engine

# What kubeadm demands of MemTotal, for which a machine needs 2 GiB (kubernetes cmd/kubeadm/app/constants,
# ControlPlaneMem); the kernel keeps the rest. `ocne` skips kubeadm's own check.
MINIMUM_MEMORY_MIB: Final = 1700


def kickstart(
    engine: Engine,
    host: Host,
    *,
    mac: Mac,
    base_url: str,
    report_token: str,
    ignition_token: str,
    ref: str = "ock",
    installer_major: int | None = None,
    sets_clock: bool = False,
    embeds_ignition: bool = False,
    virtual_ip: IPv4Address | None = None,
    place: ContentPlace = HERE,
    log_port: int = 0,
) -> str:
    """Render the Kickstart with which `host` installs itself, booted from card `mac`.

    `base_url` is `http://ADDRESS:PORT`; `ref` names the branch of the release's archive, which lies at
    `place` unless another server has it. `installer_major` is 8, 9 or 10, the Enterprise Linux that the installer is
    of; None counts as 9. `sets_clock`: the installer sets a clock that is wrong, instead of ending.
    `embeds_ignition`: the installer puts the Ignition into /boot, and the first boot fetches none. `virtual_ip` is the
    address of the cluster that this host starts, which no other machine may have. `log_port`: our port for logs, or 0.
    Raises RenderError, also for a host without disk or release: neither has a default.
    """
    context: dict[str, object] = {
        "host": host,
        "mac": mac,
        "device": _device(host, mac),
        "base_url": base_url,
        "content_url": place.url_for(base_url),
        "releases_url": urls.releases(place.url_for(base_url)),
        "release_url": urls.release(place.url_for(base_url), host.release or ""),
        "report_url": urls.report(base_url, report_token),
        "arguments": kernel_line.installed(
            host, mac=mac, base_url=base_url, ignition_token=None if embeds_ignition else ignition_token
        ),
        "archive_url": urls.ignition(base_url, ignition_token, "archive") if embeds_ignition else None,
        "archive_name": ARCHIVE_NAME,
        "ref": ref,
        "minimum_memory_mib": MINIMUM_MEMORY_MIB,
        "set_clock": sets_clock,
        "wipes": False,
        **_log_target(base_url, report_token, log_port),
        "virtual_ip": virtual_ip if host.network.vlan is None else None,  # a VLAN is not reached in the installer
        # EL8 has no `timesource` (pykickstart RHEL8), EL10 no `timezone --ntpservers` (RHEL10)
        "has_timesource": (installer_major or 9) >= 9,
    }
    rule = host.disk if isinstance(host.disk, DiskRule) else None
    context |= _ruled(host.disk)
    # Unset values without a default are not in the context, so that the error names the template's line.
    given = (("disk", None if rule else host.disk), ("release", host.release and str(host.release)))
    context |= {name: value for name, value in given if value is not None}
    text = engine.render("kickstart/node.ks.j2", subject=host.name, context=context)
    if embeds_ignition and str(context["archive_url"]) not in text:
        raise RenderError(
            f"cannot render the Kickstart of {host.name}: its template kickstart/node.ks.j2 does not include "
            "kickstart/embed.ks.j2, so the node would have no Ignition; include it, or set install.ignition: url"
        )
    return text


def _log_target(base_url: str, report_token: str, log_port: int) -> dict[str, object]:
    """Return where the installer and its scripts send their logs; the templates send none without it."""
    if not log_port:
        return {"log_url": None}
    return {
        "log_url": urls.report(base_url, report_token, LOG_REPORT),
        "log_address": urls.address_of(base_url),
        "log_port": log_port,
    }


def inspection(engine: Engine, name: str, *, mac: Mac, base_url: str, token: str) -> str:
    """Render the Kickstart that inspects the machine `name`, booted from card `mac`, and writes no disk.

    `token` opens its report. Raises RenderError.
    """
    context = {"name": name, "mac": mac, "report_url": urls.report(base_url, token)}
    return engine.render("kickstart/inspect.ks.j2", subject=name, context=context)


def wiping(engine: Engine, wipe: Wipe, *, mac: Mac, base_url: str, token: str) -> str:
    """Render the Kickstart that erases the disk of a retired host's machine, booted from card `mac`, and no other.

    `token` opens its reports. A disk in an array, a volume group or a multipath map is refused, whatever the host
    permitted its installer. Raises RenderError.
    """
    host = {"name": wipe.host, "release_members": False}
    context = {"host": host, "mac": mac, "report_url": urls.report(base_url, token), "wipes": True, "disk": wipe.disk}
    return engine.render("kickstart/wipe.ks.j2", subject=wipe.host, context={**context, **_ruled(wipe.disk)})


def _ruled(disk: str | DiskRule | None) -> Mapping[str, object]:
    rule = disk if isinstance(disk, DiskRule) else None
    return {"rule": rule, "wanted": rule.wanted if rule else {}}


def _device(host: Host, mac: Mac) -> str:
    """Name the interface for Anaconda: by its MAC; over InfiniBand by its name, else the first that has a link."""
    if not mac.is_infiniband:
        return mac
    return host.network.interface or "link"

"""Lists the media and releases in use, and their users: hosts, armed and running installs, pulls. Pure.

A medium or release that is listed here must not be removed, and an alias that is listed must not be moved. Names are
those that the hosts files contain: an alias is listed under its own name, and it keeps its target from being removed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from netboot.model.host.host import Host, HostName
from netboot.model.install.install import MID_INSTALL, Install

RUNNING_FOR: Final = timedelta(hours=24)  # an install without a report for this time has ended without one


class Use(StrEnum):
    HOST = "host"  # a host refers to it
    ARMED = "armed"  # a host is armed with it
    INSTALLING = "installing"  # a machine installs from it
    PULLED = "pulled"  # machines fetch its objects


@dataclass(frozen=True, slots=True, order=True)
class ContentUse:
    """One use of a boot medium or release. `host` is empty for a pull."""

    kind: str  # `boot medium` or `release`
    name: str
    use: Use
    host: str = ""

    def __str__(self) -> str:
        match self.use:
            case Use.HOST:
                return f"{self.host} has it in the configuration that the daemon serves"
            case Use.ARMED:
                return f"{self.host} is armed with it"
            case Use.INSTALLING:
                return f"{self.host} is installing from it"
            case Use.PULLED:
                return "machines are pulling it now"


def content_uses(
    hosts: Iterable[Host], installs: Mapping[HostName, Install], *, pulls: Iterable[str], now: datetime
) -> list[ContentUse]:
    by_name = {host.name: host for host in hosts}
    found = {
        use for host in by_name.values() for use in _named(Use.HOST, host.name, host.boot_media, host.local_release)
    }
    for install in installs.values():
        host = by_name.get(install.host)
        owner = install.target or host
        bound = owner.local_release if owner is not None else None
        for use in _install_uses(install, now):
            found.update(_named(use, install.host, host.boot_media if host else None, bound))
    found.update(ContentUse("release", name, Use.PULLED) for name in pulls)
    return sorted(found)


def is_running(install: Install, now: datetime) -> bool:
    """Return whether an installer may run on the host's machine."""
    is_recent = install.changed_at is not None and now - install.changed_at < RUNNING_FOR
    return install.state in MID_INSTALL and (install.is_armed or is_recent)


def _install_uses(install: Install, now: datetime) -> Iterator[Use]:
    if install.is_armed:
        yield Use.ARMED
    if is_running(install, now):
        yield Use.INSTALLING


def _named(use: Use, host: str, medium: str | None, release: str | None) -> Iterator[ContentUse]:
    if medium is not None:
        yield ContentUse("boot medium", medium, use, host)
    if release is not None:
        yield ContentUse("release", release, use, host)

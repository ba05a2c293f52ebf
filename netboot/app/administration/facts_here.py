"""Reads facts of this appliance: versions, space of its disks, interfaces; and the command that checks it."""

import asyncio
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import make_url

from netboot import __version__
from netboot.doctor.configuration.listening_checks import Links, links_here
from netboot.operate.appliance.appliance_facts import ApplianceFacts, DiskSpace, InterfaceFacts
from netboot.settings.settings import Settings


async def facts_here(settings: Settings) -> ApplianceFacts:
    """Read the facts of an appliance with these settings."""
    links = await links_here()
    versions, disks = await asyncio.to_thread(lambda: (_versions(), list(_disks(settings))))
    return ApplianceFacts(versions, disks, _interfaces(settings, links))


def check_command(configuration: Path) -> list[str]:
    """Return the command that checks the appliance, at low priority."""
    return ["nice", "-n", "10", sys.executable, "-m", "netboot", "--config", str(configuration), "check", "--json"]


def _versions() -> Mapping[str, str]:
    try:
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        distribution = "unknown"
    return {
        "netboot": __version__,
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "distribution": distribution,
    }


def _disks(settings: Settings) -> Iterator[DiskSpace]:
    yield _space("content", settings.content.directory)
    yield _space("records of boots", settings.records.directory)
    store = make_url(settings.store.url)
    if store.get_backend_name() == "sqlite" and store.database:
        yield _space("store", Path(store.database).parent)


def _space(holds: str, directory: Path) -> DiskSpace:
    """Measure the file system of a directory, or of the nearest one above it that exists."""
    nearest = next(each for each in (directory, *directory.parents) if each.exists())
    try:
        usage = shutil.disk_usage(nearest)
    except OSError as error:
        return DiskSpace(holds, directory, problem=f"cannot be read: {error.strerror}")
    return DiskSpace(holds, directory, usage.total, usage.free)


def _interfaces(settings: Settings, links: Links) -> list[InterfaceFacts]:
    served = {each.name for each in settings.network.interfaces}
    found = [
        InterfaceFacts(
            name,
            [str(each.address) for each in link.addresses],
            link.is_up,
            link.has_carrier,
            link.mtu_bytes,
            name in served,
        )
        for name, link in links.items()
    ]
    missing = [InterfaceFacts(name, (), False, False, 0, True) for name in sorted(served - links.keys())]
    return sorted([*found, *missing], key=lambda each: (not each.serves_boots, each.name))

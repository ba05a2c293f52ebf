"""Requests the archives of other servers from which hosts are installed. Sends a HEAD request to each, for 5 s."""

import asyncio
from collections.abc import Iterable
from http.client import HTTPException
from typing import Final
from urllib.request import ProxyHandler, Request, build_opener

from netboot.doctor.configuration.host_findings import and_others
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.model.release import RemoteRelease

TIMEOUT_S: Final = 5.0


async def unreachable_releases(hosts: Iterable[Host]) -> list[str]:
    """List each archive whose ref does not answer here, with the hosts that are installed from it."""
    users: dict[RemoteRelease, list[Host]] = {}
    for host in hosts:
        if isinstance(host.release, RemoteRelease):
            users.setdefault(host.release, []).append(host)
    faults = await asyncio.gather(*(asyncio.to_thread(_fault, release) for release in users))
    return [
        f"{first.declared_at}: hosts.{first.name}.release: {urls.ref_of(release)} does not answer here ({fault}); "
        f"correct url or ref, unless only the machines reach that server{and_others(others)}"
        for (release, (first, *others)), fault in zip(users.items(), faults, strict=True)
        if fault is not None
    ]


def _fault(release: RemoteRelease) -> str | None:
    """Return why a ref cannot be read; None if it can. No proxy of this process is used: machines have none."""
    try:
        request = Request(urls.ref_of(release), method="HEAD")  # noqa: S310  http or https: `registry` reads no other
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_S):
            return None
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", None) or error)

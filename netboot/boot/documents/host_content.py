"""The boot media and releases that hosts install. Reads one content directory in threads; a release is read once."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netboot.content.library.disk import cannot_read
from netboot.content.media.boot_media import check_medium, installer_major, medium_architecture
from netboot.content.ostree.repository import check_release, read_release, release_architecture
from netboot.errors import ContentError, MediumError, ReleaseError, RenderError, raise_without_descriptor
from netboot.model.host.host import Host
from netboot.model.release import EntryKind, Release, RemoteRelease


class HostContent:
    """Reads what hosts install from one content directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._releases: dict[str, Release] = {}
        self._reading = defaultdict[str, asyncio.Lock](asyncio.Lock)  # by name: a release is read once

    async def release(self, host: Host) -> Release | RemoteRelease:
        """Return the release that a host installs; one of this appliance is read once. Raises ContentError."""
        name = host.release
        if name is None:
            raise RenderError(f"{host.name} has no release to install; set hosts.{host.name}.release")
        if isinstance(name, RemoteRelease):
            return name
        async with self._reading[name]:
            if name not in self._releases:
                try:
                    with _raising(ReleaseError):
                        self._releases[name] = await asyncio.to_thread(read_release, self._directory, name)
                except OSError as error:
                    raise_without_descriptor(error)
                    path = EntryKind.RELEASE.path(self._directory, name)
                    raise ReleaseError(str(cannot_read(path, error))) from error
        return self._releases[name]

    async def warm(self, hosts: Iterable[Host]) -> None:
        """Read the releases of these hosts now, before a script needs them; errors are reported then."""
        for host in {host.release: host for host in hosts}.values():
            with suppress(RenderError, ContentError):
                await self.release(host)

    async def renewed(self, hosts: Iterable[Host], changed: Collection[str]) -> "HostContent":
        """Return the content with the `changed` releases of these hosts read anew: the directory changed."""
        fresh = HostContent(self._directory)
        fresh._releases = {name: release for name, release in self._releases.items() if name not in changed}
        await fresh.warm(hosts)
        return fresh

    def object_count(self, name: str) -> int | None:
        """Return how many objects the ref of a release reaches; None if it was not read yet. From memory."""
        release = self._releases.get(name)
        return release.object_count if release else None

    async def installer_major(self, host: Host) -> int | None:
        """Return the major version of the installer on the host's medium; None if it is not known."""
        if host.boot_media is None:
            return None
        return await asyncio.to_thread(installer_major, self._directory, host.boot_media)

    async def problem(self, host: Host) -> ContentError | None:
        """Return why a host's boot medium or release cannot be served now: a few small files are read."""
        return await asyncio.to_thread(content_problem, self._directory, host.boot_media, host.local_release)

    async def medium_problem(self, medium: str) -> ContentError | None:
        """Return why a boot medium cannot be served now: a few small files are read."""
        return await asyncio.to_thread(content_problem, self._directory, medium, None)

    async def check_medium(self, host: Host) -> None:
        """Raise ContentError if the host's boot medium cannot be served; the script's own error names a missing one."""
        if host.boot_media is not None:
            with _raising(MediumError):
                await asyncio.to_thread(check_medium, self._directory, host.boot_media)

    async def check_architectures(self, host: Host) -> None:
        """Raise ContentError if the host's medium and its release are for different CPUs."""
        parts = await self.architectures(host)
        if len(set(parts.values())) > 1:
            listed = " and ".join(f"{part} is for {architecture}" for (_, part), architecture in parts.items())
            cure = f"correct hosts.{host.name}.boot_media or hosts.{host.name}.release"
            raise ContentError(f"{host.name} cannot start what it installs: its {listed}; {cure}")

    async def architectures(self, host: Host) -> dict[tuple[str, str], str]:
        """Return the CPU architecture of a host's medium and of its release, by key and name, where it is known."""
        return await asyncio.to_thread(_architectures, self._directory, host)


def content_problem(directory: Path, medium: str | None, release: str | None) -> ContentError | None:
    """Return why this boot medium or this release cannot be served now; None if both can, or none is named."""
    try:
        if medium is not None:
            with _raising(MediumError):
                check_medium(directory, medium)
        if release is not None:
            with _raising(ReleaseError):
                check_release(directory, release)
    except ContentError as error:
        return error
    except OSError as error:
        return cannot_read(Path(error.filename or directory), error)
    return None


@contextmanager
def _raising(kind: type[ContentError]) -> Iterator[None]:
    """Raise an error of this kind for content that cannot be served."""
    try:
        yield
    except ContentError as error:
        raise_without_descriptor(error)
        raise kind(str(error)) from error


def _architectures(directory: Path, host: Host) -> dict[tuple[str, str], str]:
    found = {}
    if host.boot_media is not None:
        found["boot_media", f"boot medium {host.boot_media}"] = medium_architecture(directory, host.boot_media)
    if host.local_release is not None:
        found["release", f"release {host.local_release}"] = release_architecture(directory, host.local_release)
    return {part: architecture for part, architecture in found.items() if architecture is not None}

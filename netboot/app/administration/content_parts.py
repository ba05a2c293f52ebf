"""Builds the use cases of content for the running daemon: the commands that it runs, and who uses the content."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.content.library.library import Library
from netboot.content.library.uploads import Upload, UploadKind, Uploads
from netboot.content.serving.withheld_files import WithheldFiles
from netboot.events.event_bus import EventBus
from netboot.model.host.host import HostSet
from netboot.operate.administration import Administration
from netboot.operate.content.content_administration import ContentAdministration
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content.scrubbing import Scrubbing
from netboot.operate.content.upload_imports import UploadImports
from netboot.operate.content.verifications import Verifications
from netboot.operate.running_daemon import RunningDaemon
from netboot.registry.load import read
from netboot.settings.settings import Settings


def content_administration(
    path: Path,
    settings: Settings,
    administration: Administration,
    daemon: RunningDaemon,
    *,
    events: EventBus,
    hosts: Callable[[], HostSet],
    now: Callable[[], datetime],
    withheld: WithheldFiles,
    content_changed: asyncio.Event,
) -> ContentAdministration:
    """Build the use cases of the content of the daemon whose `netboot.yaml` is `path`; `hosts` are those in force.

    `withheld` are the files that are not served; `content_changed` has lacking deltas made.
    """
    directory, commands = settings.content.directory, _ContentCommands(path)
    users = _FoundUsers(path, settings, administration, hosts)
    library = Library(directory)
    scrubbing = Scrubbing(
        library,
        withheld,
        days=settings.content.scrub_days,
        rate=settings.content.scrub_rate,
        events=events,
        now=now,
        on_repair=content_changed.set,
        rescan=daemon.rescan_content,
    )
    return ContentAdministration(
        library,
        UploadImports(Uploads(directory), commands.import_upload, events=events, now=now),
        Verifications(commands.verify, events=events, now=now),
        scrubbing,
        events=events,
        users=users.as_written,
        users_in_force=users.in_force,
        pulls=daemon.pulls,
        image_pulls=daemon.image_pulls,
        rescan=daemon.rescan_content,
    )


_IMPORTS: Final = {
    UploadKind.ISO: "import-iso",
    UploadKind.ARCHIVE: "import-archive",
    UploadKind.IMAGE: "import-image",
    UploadKind.IMAGES: "import-images",
}
_OF_IMAGES: Final = frozenset({UploadKind.IMAGE, UploadKind.IMAGES})


@dataclass(frozen=True, slots=True)
class _ContentCommands:
    """The commands for long work, at low priority, in processes of their own."""

    path: Path

    def import_upload(self, upload: Upload, data: str) -> list[str]:
        name = ["--name", upload.name] if upload.name and upload.kind is not UploadKind.IMAGES else []
        image = ["--image", upload.image] if upload.image and upload.kind in _OF_IMAGES else []
        return [*self._content(), _IMPORTS[upload.kind], data, *name, *image, "--json", "--progress"]

    def verify(self, name: str | None) -> list[str]:
        return [*self._content(), "verify", *([name] if name else []), "--json", "--progress"]

    def _content(self) -> list[str]:
        netboot = [sys.executable, "-m", "netboot", "--config", str(self.path)]
        return ["nice", "-n", "10", *netboot, "content"]


@dataclass(frozen=True, slots=True)
class _FoundUsers:
    path: Path
    settings: Settings
    administration: Administration
    hosts: Callable[[], HostSet]

    async def in_force(self) -> ContentUsers:
        """Find the users among the hosts in force, without reading a file."""
        uses = await self.administration.content_uses()
        return ContentUsers(uses, self.hosts(), inspect_media=self.settings.hosts.inspect_media)

    async def as_written(self) -> ContentUsers:
        """Find the users in the daemon and in the files as they are now."""
        uses = await self.administration.content_uses()
        configuration = await asyncio.to_thread(read, self.path)
        fault = str(configuration.faults[0]) if configuration.faults else ""
        inspect_media = configuration.settings.hosts.inspect_media
        return ContentUsers(uses, configuration.hosts, fault, configuration.files[1:], inspect_media)

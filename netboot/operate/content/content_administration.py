"""The use cases of content by the running daemon: list, verify, promote, remove, collect; and the uploads."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from netboot.content.library.disk import nearest_existing, tree_size
from netboot.content.library.library import Library
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.release import EntryName
from netboot.operate.audit import audited
from netboot.operate.content.content_changes import (
    CollectedContent,
    PromotedContent,
    RemovedContent,
    collect_content,
    promote_content,
    removal_reasons,
    remove_content,
)
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content.image_changes import describe_image, remove_image
from netboot.operate.content.image_listing import ImageDetails, ListedRepository, find_image, is_image, list_images
from netboot.operate.content.library_listing import ContentDetails, damaged_of, listed
from netboot.operate.content.scrubbing import Scrubbing, ScrubProgress
from netboot.operate.content.upload_imports import UploadImports
from netboot.operate.content.verifications import Verification, Verifications
from netboot.operate.running_daemon import RescanResult

FindUsers = Callable[[], Awaitable[ContentUsers]]


@dataclass(frozen=True, slots=True)
class ContentDisk:
    """The file system of the content, in bytes, and the remains of unfinished work on it."""

    total_bytes: int
    free_bytes: int
    remains: int
    remains_bytes: int


class ContentAdministration:
    def __init__(
        self,
        library: Library,
        uploads: UploadImports,
        verifications: Verifications,
        scrubbing: Scrubbing,
        *,
        events: EventBus,
        users: FindUsers,
        users_in_force: FindUsers,
        pulls: Callable[[], Sequence[str]],
        image_pulls: Callable[[], Sequence[str]],
        rescan: Callable[[EntryName | None], Awaitable[RescanResult]],
    ) -> None:
        """`users` reads the hosts files as they are now, `users_in_force` only what the daemon serves; `rescan` makes
        the daemon read an entry again, or all.
        """
        self.uploads, self.verifications, self.scrubbing = uploads, verifications, scrubbing
        self._library, self._events = library, events
        self._users, self._users_in_force = users, users_in_force
        self._pulls, self._image_pulls, self._rescan = pulls, image_pulls, rescan

    async def run(self) -> None:
        """Run imports, verifications and the scrub until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.uploads.run())
            tasks.create_task(self.verifications.run())
            tasks.create_task(self.scrubbing.run())

    async def all(self) -> list[ContentDetails]:
        """List media, releases and aliases, with their users among the hosts in force."""
        users = await self._users_in_force()
        return await asyncio.to_thread(self._all, users)

    def _all(self, users: ContentUsers) -> list[ContentDetails]:
        withheld = self.scrubbing.damaged()
        return [
            ContentDetails(
                listed(entry, self._library, users, withheld=withheld),
                {},
                removal_reasons(entry, self._library, users),
            )
            for entry in self._library.entries()
        ]

    async def show(self, name: str) -> ContentDetails:
        """Describe one entry, with its files; raise UnknownContentError."""
        users = await self._users()
        return await asyncio.to_thread(self._show, name, users)

    def _show(self, name: str, users: ContentUsers) -> ContentDetails:
        entry = self._library.find(name)
        record = entry.record
        withheld = self.scrubbing.damaged()
        described = listed(entry, self._library, users, withheld=withheld)
        reasons = removal_reasons(entry, self._library, users)
        return ContentDetails(described, record.files if record else {}, reasons, damaged_of(entry, withheld))

    async def disk(self) -> ContentDisk:
        return await asyncio.to_thread(self._disk)

    def _disk(self) -> ContentDisk:
        usage = shutil.disk_usage(nearest_existing(self._library.directory))
        remains = self._library.remains()
        return ContentDisk(usage.total, usage.free, len(remains), tree_size(*remains))

    async def verify(self, name: str | None, *, actor: Actor) -> Verification:
        """Begin to verify an entry, an image, or all content.

        Raises UnknownContentError, or ContentRefusedError while another verification runs.
        """
        if name is not None:
            await asyncio.to_thread(self._find, name)
        return self.verifications.begin(name, actor=actor)

    def begin_scrub(self, *, actor: Actor) -> ScrubProgress:
        """Begin to verify all content in the background now."""
        with audited(self._events, "verify content", actor, subject="all, in the background"):
            return self.scrubbing.request()

    def _find(self, name: str) -> None:
        if is_image(self._library, name):
            find_image(self._library, name)
        else:
            self._library.find(name)

    async def images(self) -> list[ListedRepository]:
        """List the repositories of images by name, with their users among the hosts in force."""
        users = await self._users_in_force()
        return await asyncio.to_thread(list_images, self._library, users, withheld=self.scrubbing.damaged())

    async def show_image(self, name: str) -> ImageDetails:
        """Describe a repository or an image; raise UnknownContentError."""
        users = await self._users()
        damaged = self.scrubbing.damaged()
        return await asyncio.to_thread(describe_image, self._library, name, users, withheld=damaged)

    async def remove_image(self, name: str, *, actor: Actor) -> RemovedContent:
        """Remove a tag, an image or a repository; raise ContentRefusedError with every reason if it is used."""
        with audited(self._events, "change content", actor, subject=f"remove {name}"):
            users = await self._users()
            return await asyncio.to_thread(remove_image, self._library, name, users)

    async def remove(self, name: str, *, actor: Actor) -> RemovedContent:
        """Remove an entry; raise ContentRefusedError with every reason if it is used."""
        with audited(self._events, "change content", actor, subject=f"remove {name}"):
            users = await self._users()
            removed = await asyncio.to_thread(remove_content, self._library, name, lambda: users)
            await self._rescan(removed.entry)
        return removed

    async def promote(self, name: str, alias: str, *, actor: Actor) -> tuple[PromotedContent, Sequence[str]]:
        """Make `alias` an alias of an entry; return it, and the hosts whose arming ended with that."""
        with audited(self._events, "change content", actor, subject=f"promote {name} {alias}"):
            users = await self._users_in_force()
            promoted = await asyncio.to_thread(promote_content, self._library, name, alias, lambda: users)
            result = await self._rescan(promoted.entry)
        return promoted, result.armings_ended

    async def collect(self, *, actor: Actor) -> CollectedContent:
        """Delete the remains of unfinished work, and images that nothing names.

        Raises ContentRefusedError while machines pull a release.
        """
        with audited(self._events, "change content", actor, subject="gc"):
            collected = await asyncio.to_thread(collect_content, self._library, self._pulls(), self._image_pulls())
            if collected.images.blobs:
                await self._rescan(None)
        return collected

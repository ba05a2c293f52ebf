"""The data for replies to boot requests: one frozen value, which a reload verifies first and then replaces whole."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog

from netboot.boot.documents.documents import Documents
from netboot.boot.firmware import loader_choice
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import DescriptorsError
from netboot.model.boot.offer import Policy
from netboot.model.host.host import HostSet

SCAN_S: Final = 0.5  # between two scans of the boot files, or 20 times the duration of a scan

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Registry:
    """The data for replies to requests; never changed in place."""

    hosts: HostSet
    policy: Policy
    documents: Documents
    boot_files: BootFiles


class LiveRegistry:
    """Holds the registry in force, which a reload replaces whole; a request under way keeps the one that it read."""

    def __init__(self, registry: Registry) -> None:
        self.changed = asyncio.Event()
        self.replace(registry)

    def replace(self, registry: Registry) -> None:
        """Answer from this registry from now on."""
        self.now = registry
        self.changed.set()

    def note_unread(self) -> None:
        """Note that the files could not replace this registry: which machines they register now is not known."""
        self.replace(replace(self.now, policy=replace(self.now.policy, is_complete=False)))

    def hosts(self) -> HostSet:
        return self.now.hosts

    def renew_boot_files(self) -> bool:
        """Read the boot files again if a name was added or removed; return whether that is so."""
        boot_files = self.now.boot_files
        if not boot_files.is_outdated():
            return False
        try:
            self.replace_boot_files(BootFiles(boot_files.directories))
        except DescriptorsError:  # those before stay until they can be read
            return False
        return True

    async def follow_boot_files(self) -> None:
        """Detect replaced boot files until cancelled: a request finds them at once, an offer only after this scan."""
        while True:
            began = time.monotonic()
            before = self.now.boot_files
            with suppress(DescriptorsError):
                if await asyncio.to_thread(before.is_changed):
                    boot_files = await asyncio.to_thread(BootFiles, before.directories)
                    if self.now.boot_files is before:  # no reload happened meanwhile
                        self.replace_boot_files(boot_files)
            took_s = time.monotonic() - began
            await asyncio.sleep(max(SCAN_S, 20 * took_s))

    def replace_boot_files(self, boot_files: BootFiles) -> None:
        """Serve and offer these boot files from now on."""
        before = self.now.policy
        policy = loader_choice.renewed(before, self.now.hosts, boot_files)
        self.replace(replace(self.now, policy=policy, boot_files=boot_files))
        if policy != before:
            chosen = {f"{protocol}/{cpu}": name for (protocol, cpu), name in policy.loaders.items()}
            log.info("bootfiles.loaders_changed", loaders=chosen)

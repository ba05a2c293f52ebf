"""Finds nodes that reported, were led to their disk, and do not report again: their firmware, loader or system hangs.

Only of a node with `updates.report` is anything due after a local boot; of others nothing is known, and nothing found.
"""

import asyncio
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from netboot.boot.firmware.local_boot_learning import UNHEARD_AFTER
from netboot.boot.sessions.local_boots import LocalBoots
from netboot.errors import StoreError
from netboot.model.clock import Clock
from netboot.model.host.host import HostName, HostSet
from netboot.model.install.install import AFTER_INSTALL, Install
from netboot.store.nodes.installed_nodes import Nodes

EVERY_S: Final = 60.0


@dataclass(slots=True, eq=False)
class NodeWatch:
    """Compares the reports of installed nodes with their local boots, once a minute.

    It counts from its own start, and again after the store failed: no report was taken in the time before.
    """

    nodes: Nodes
    local_boots: LocalBoots
    _: KW_ONLY
    hosts: Callable[[], HostSet]
    install_of: Callable[[HostName], Install]
    clock: Clock
    _since_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._since_s = self.clock.monotonic()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.judge()

    async def judge(self) -> None:
        """Record each installed node that is not heard since its local boot, and was before."""
        try:
            nodes = await self.nodes.all()
        except StoreError:  # its health is reported elsewhere
            self._since_s = self.clock.monotonic()
            return
        if self.clock.monotonic() - self._since_s < UNHEARD_AFTER.total_seconds():
            return
        for host in self.hosts():
            node, install = nodes.get(host.name), self.install_of(host.name)
            is_installed = install.state in AFTER_INSTALL and not install.is_armed
            if is_installed and node is not None and node.reported_at is not None:
                self.local_boots.record_unheard(host, node.reported_at)

"""Reads the gauges of the running daemon at each scrape: from memory, without the store and without a file."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import product

from netboot import __version__
from netboot.app.store_access import OpenStore
from netboot.boot.install_moves import InstallMoves
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.model.install.install import InstallState
from netboot.operate.content.upload_imports import UploadImports
from netboot.operate.hooks.hook_service import HookService
from netboot.telemetry.metrics import Reading


@dataclass(frozen=True, slots=True, eq=False)
class GaugeReadings:
    """The gauges of one daemon. `others` are those of the listeners and of the hosts' files."""

    store: OpenStore
    install_moves: InstallMoves
    seen: SeenMachines
    uploads: UploadImports
    hooks: HookService
    _: KW_ONLY
    problems: Callable[[], list[str]]
    is_rejected: Callable[[], bool]
    others: Iterable[Callable[[], Iterable[Reading]]]

    def read(self) -> Iterator[Reading]:
        """Read every gauge."""
        yield Reading("build_info", 1, (__version__,))
        yield Reading("tasks", len(asyncio.all_tasks()))
        counts = self.install_moves.counts()
        for state, is_armed in product(InstallState, (False, True)):
            yield Reading("hosts", counts[state, is_armed], (state.value, str(is_armed).lower()))
        yield Reading("unregistered_machines", len(self.seen.unregistered()))
        yield Reading("problems", len(self.problems()))
        yield Reading("configuration_rejected", self.is_rejected())
        for queue, count in self._queues().items():
            yield Reading("queue_length", count, (queue, ""))
        for upload_state, count in self.uploads.counts().items():
            yield Reading("uploads", count, (upload_state,))
        for source in self.others:
            yield from source()

    def _queues(self) -> dict[str, int]:
        return {
            "events": self.store.event_log.waiting_count,
            "boots": self.store.boots.waiting_count,
            "machines": self.store.machines.waiting_count,
            "served-documents": self.store.served.waiting_count,
            "offers": self.install_moves.offers_waiting_count,
            "hooks": self.hooks.waiting_count,
        }

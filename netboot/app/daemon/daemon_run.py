"""Runs the parts of a daemon in one TaskGroup, from the opening of the listeners to the stop."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import structlog

from netboot import __version__
from netboot.app import from_settings
from netboot.app.administration.admin_listener import AdminListener
from netboot.app.appliance_health import ApplianceHealth
from netboot.app.appliances.known_appliances import KnownAppliances
from netboot.app.boot_services import BootServices
from netboot.app.listeners import BootListeners, ended
from netboot.app.running.lasting_work import lasting
from netboot.app.running.process import Signals
from netboot.app.running.systemd_status import SystemdStatus
from netboot.app.running.watchdog import Watchdog
from netboot.app.store_access import OpenStore
from netboot.boot_records.record_writer import RecordWriter
from netboot.operate.readiness import NO_INTERFACE
from netboot.serve.net.interfaces import Interfaces
from netboot.settings.settings import Settings

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class DaemonRun:
    """The run of one daemon. `works` are behind the listeners: they write to the store later, or work on content."""

    settings: Settings
    store: OpenStore
    services: BootServices
    records: RecordWriter | None
    listeners: BootListeners
    admin: AdminListener
    _: KW_ONLY
    appliances: KnownAppliances
    health: ApplianceHealth
    watchdog: Watchdog
    systemd: SystemdStatus
    works: Sequence[Callable[[], Awaitable[None]]]
    reload: Callable[[], Coroutine[Any, Any, None]]
    host_count: Callable[[], int]
    is_stopping: bool = field(default=False, init=False)

    async def run(self, signals: Signals) -> None:
        """Open every listener, notify systemd, and serve until SIGTERM or SIGINT."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            running = self._behind_the_listeners(tasks)
            try:
                stack.push_async_callback(self.health.close)
                stack.push_async_callback(self.appliances.leave)
                stack.push_async_callback(self.admin.close)
                await self.admin.open()
                # first, so that no follower keeps the stop waiting
                stack.callback(self.store.event_log.feed.end)
                if self.records is not None:
                    stack.push_async_callback(self.records.close)
                    stack.callback(self.records.end)
                await self.services.load()
                wanted = from_settings.wanted_interfaces(self.settings)
                interfaces = await stack.enter_async_context(Interfaces(wanted))
                await self.listeners.open(stack, interfaces, tasks)
                await self.appliances.declare()  # with its addresses on the boot LAN
                if not wanted:
                    log.error("daemon.serves_nobody", reason=NO_INTERFACE)
                gc.collect()
                gc.freeze()  # later collections do not walk the hosts; with 5,000 of them each took 50 ms
                await self.watchdog.verify()
                self.systemd.send_ready()
                stack.push_async_callback(ended, tasks.create_task(lasting(self.watchdog.run)))
                stack.push_async_callback(ended, tasks.create_task(self.admin.run()))
                running.append(tasks.create_task(lasting(self.services.scripts.run)))
                log.info("daemon.started", version=__version__, hosts=self.host_count(), pid=os.getpid())
                signals.finish_start(lambda: tasks.create_task(self.systemd.reload(self.reload)))
                await signals.stopping.wait()
                self.is_stopping = True
                self.systemd.send_stopping()
            finally:
                await stack.aclose()
                for task in running:
                    task.cancel()

    def _behind_the_listeners(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        store = self.store
        running = [lasting(work) for work in self.works] + ([store.keep_lock()] if store.lock is not None else [])
        return [tasks.create_task(work) for work in running]

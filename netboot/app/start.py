"""Starts the daemon: reads the settings, takes the locks, opens the store, runs the appliance until it is stopped."""

import asyncio
import os
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog

from netboot.app import from_settings
from netboot.app.daemon.daemon import Daemon
from netboot.app.running import process
from netboot.app.running.accept_faults import limit_accept_faults
from netboot.app.running.descriptor_wait import read_with_descriptors
from netboot.app.running.process import Signals, notify_systemd
from netboot.app.store_access import open_store
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.control_socket import is_answered
from netboot.errors import NetbootError
from netboot.model.clock import SYSTEM_CLOCK, Clock
from netboot.registry.load import WrittenFiles, read_written
from netboot.store.locks.exclusive import held_alone
from netboot.store.locks.file_lock import FileLock
from netboot.telemetry import logs
from netboot.telemetry.metrics import Metrics

log = structlog.get_logger()


async def serve(path: Path) -> None:
    """Run the daemon with the configuration at `path`; raise ConfigError or NetbootError if it cannot start."""
    signals = Signals()
    signals.listen()
    process.disable_core_files()
    process.dump_stack_at_abort()
    process.raise_descriptor_limit()
    limit_accept_faults(asyncio.get_running_loop())
    logs.configure(level="info", form="auto")
    try:
        written = await read_with_descriptors(partial(asyncio.to_thread, read_written, path))
        logs.configure(level=written.settings.log.level, form=written.settings.log.format)
        await run(path, written, signals)
    except asyncio.CancelledError:
        if not signals.stopping.is_set():
            raise
    except NetbootError as error:
        log.error("daemon.failed", reason=str(error))
        notify_systemd(f"STATUS=failed: {str(error).splitlines()[0]}")
        raise
    log.info("daemon.stopped")


async def run(path: Path, written: WrittenFiles, signals: Signals, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Run the appliance that the files `written`, read from `path`, declare until a stop is signalled; as `serve`."""
    settings = written.settings
    socket = settings.admin.socket
    configured_by = path.resolve()  # noqa: ASYNC240 - before any machine is served
    owner = f"the daemon with pid {os.getpid()}, configuration {configured_by} and socket {socket}"
    async with AsyncExitStack() as stack:
        lock = held_alone(FileLock(socket), owner=owner, what=f"the control socket {socket} (admin.socket)")
        await stack.enter_async_context(lock)
        if await asyncio.to_thread(is_answered, socket):
            raise NetbootError(f"cannot start: another program answers on {socket}; stop it, or see admin.socket")
        metrics = Metrics()
        opening = open_store(settings, owner=owner, now=clock.now, metrics=metrics)
        store = await stack.enter_async_context(opening)
        await store.event_log.begin()  # before what events change is read
        configuration = await read_with_descriptors(partial(store.hosts.build, written))
        used = await read_with_descriptors(partial(store.hosts.at_start, configuration))
        await store.join_gate.read_changed()
        building = partial(from_settings.registry_for, settings, used, now=clock.now, is_held=store.join_gate.holds)
        registry, problems = await read_with_descriptors(partial(asyncio.to_thread, building))
        live = LiveRegistry(registry)
        recorded, recorder = await store.machines.all(), store.boot_recorder
        seen = SeenMachines(recorded, store=store.machines, recorder=recorder, hosts=live.hosts, clock=clock)
        await recorder.load(clock.now())
        await recorder.bring_forward(store.installs.histories, clock.now())
        await store.durations.load_once()
        seen.resume()
        daemon = Daemon(path, used, store, live, seen, metrics=metrics, clock=clock)
        await daemon.leases.load()
        await daemon.begin(configuration, problems)
        try:
            await daemon.run(signals)
        except ExceptionGroup as group:  # a TaskGroup ended: one fault is raised as one sentence
            if len(group.exceptions) == 1 and isinstance(group.exceptions[0], NetbootError):
                raise group.exceptions[0] from None
            raise

"""All BMCs for the event loop: each call in a thread of its own, one at a time per BMC, few at a time in all.

A call that does not end in time is ended: its connection is shut, and its BMC is free when its thread has ended.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from netboot.bmc.bmc_connection import BmcConnection
from netboot.bmc.bmc_fault import INSTALL_SUSHY, NO_SUSHY, BmcFault, has_sushy
from netboot.bmc.bmc_machine import BmcMachine
from netboot.bmc.credentials import credentials_path, read_credentials
from netboot.bmc.quirks import KnownQuirks
from netboot.bmc.redfish_machine import RedfishMachine
from netboot.errors import BmcError, BmcRefusedError
from netboot.model.bmc.bmc import Bmc
from netboot.model.host.host import Host

T = TypeVar("T")

_REQUESTS_OF_A_CALL: Final = 4  # slow ones: `bmc.timeout_s` is of one
_QUEUED_S: Final = 120.0  # that a call waits for its BMC and a thread
_ENDING_S: Final = 5.0  # after its connection was shut


class Bmcs:
    """The BMCs of all hosts. `credentials` is the directory of the hosts' files.

    `unusable`: why no BMC can be used until a restart, None: they can.
    """

    def __init__(self, quirks: KnownQuirks, credentials: Path, *, timeout_s: float, parallel: int) -> None:
        self.quirks = quirks
        self.credentials = credentials
        self.unusable = None if has_sushy() else f"{NO_SUSHY}; {INSTALL_SUSHY}"
        self.parallel = parallel  # calls at a time; others wait for their turn
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="bmc")
        self._slots = asyncio.Semaphore(parallel)
        self._locks: dict[str, asyncio.Lock] = {}  # by URL
        self._open: set[BmcConnection] = set()

    @property
    def longest_s(self) -> float:
        """How long a call without a limit of its own may take, from its begin to the end of its connection."""
        return _QUEUED_S + self._timeout_s * _REQUESTS_OF_A_CALL + _ENDING_S

    def close(self) -> None:
        """Take no further call, and end those under way."""
        for connection in tuple(self._open):
            connection.abort()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def call(self, host: Host, what: Callable[[BmcMachine], T], *, limit_s: float | None = None) -> T:
        """Return what `what` returns for the host's machine, which it gets in a thread; raise BmcError.

        `limit_s`: of the whole call, if it is one of many requests.
        """
        if host.bmc is None:
            cure = f"set hosts.{host.name}.bmc first"
            raise BmcRefusedError("use the BMC", host.name, "no hosts file names it", cure, fault=BmcFault.NO_BMC)
        limit_s = limit_s or self._timeout_s * _REQUESTS_OF_A_CALL
        connection = self._connection(host, host.bmc, limit_s)
        lock = self._locks.setdefault(host.bmc.url, asyncio.Lock())
        await self._wait_for_turn(host, lock)
        self._open.add(connection)
        try:
            running = self._threads.submit(_run, connection, RedfishMachine(connection, host, self.quirks), what)
        except RuntimeError:  # after `close`
            self._release(connection, lock)
            raise _ended(host, connection) from None
        loop = asyncio.get_running_loop()

        def release(_future: object) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._release, connection, lock)

        running.add_done_callback(release)
        return await self._result(host, connection, running, limit_s)

    async def _wait_for_turn(self, host: Host, lock: asyncio.Lock) -> None:
        """Wait until no other call uses this BMC, then for a thread."""
        try:
            async with asyncio.timeout(_QUEUED_S):
                await lock.acquire()
                try:
                    await self._slots.acquire()
                except BaseException:
                    lock.release()
                    raise
        except TimeoutError:
            reason = f"requests to this and other BMCs took more than {_QUEUED_S:g} s"
            cure = "try again; a BMC that hangs is restarted in its own settings"
            raise BmcError("use the BMC", host.name, reason, cure, fault=BmcFault.BUSY) from None

    def _release(self, connection: BmcConnection, lock: asyncio.Lock) -> None:
        self._open.discard(connection)
        lock.release()
        self._slots.release()

    async def _result(self, host: Host, connection: BmcConnection, running: Future[T], limit_s: float) -> T:
        """Wait for a call; end it when its time is over, or when nobody waits for it."""
        result = asyncio.wrap_future(running)
        try:
            await asyncio.wait({result}, timeout=limit_s)
            if not result.done():
                connection.abort()
                await asyncio.wait({result}, timeout=_ENDING_S)
        except asyncio.CancelledError:
            connection.abort()
            raise
        if not result.done() or result.cancelled():
            result.add_done_callback(lambda each: each.cancelled() or each.exception())  # nothing reads it
            raise _ended(host, connection)
        return result.result()

    def _connection(self, host: Host, bmc: Bmc, limit_s: float) -> BmcConnection:
        path = credentials_path(host, self.credentials)
        return BmcConnection(bmc, lambda: read_credentials(path, bmc), timeout_s=self._timeout_s, deadline_s=limit_s)


def _run(connection: BmcConnection, machine: RedfishMachine, what: Callable[[BmcMachine], T]) -> T:
    try:
        return what(BmcMachine(machine))
    finally:
        connection.close()


def _ended(host: Host, connection: BmcConnection) -> BmcError:
    return BmcError(
        "use the BMC",
        host.name,
        "it did not answer in time",
        "look whether the BMC answers in a browser; a BMC that hangs is restarted in its own settings",
        fault=BmcFault.TIMEOUT,
        is_outcome_unknown=connection.is_outcome_unknown,
    )

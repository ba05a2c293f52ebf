"""The daemon as the lab runs it: a process of its own on the lab's LAN, configured by files, ready by sd_notify."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from pathlib import Path
from typing import Final

from netboot.client import ControlClient
from netboot.errors import LabError
from netboot.lab.lab_hosts import AppliancePaths
from netboot.lab.lan.namespaces import Lan, inside

READY_S: Final = 60.0  # two on an idle computer; a busy one is many times slower
STOP_S: Final = 10.0


class Appliance:
    """One netboot daemon. Its files remain when its process ends, as on a real server."""

    def __init__(self, paths: AppliancePaths, lan: Lan) -> None:
        self.paths = paths
        self._lan = lan
        self._process: Process | None = None

    @property
    def log(self) -> Path:
        """The stderr output of all its starts."""
        return self.paths.directory / "appliance.log"

    def control(self) -> ControlClient:
        """Return a client of its control socket, an async context manager."""
        return ControlClient(self.paths.socket)

    async def start(self) -> None:
        """Start it and wait until it reports READY; raise LabError with the end of its log."""
        address = self.paths.socket.with_name("notify")
        with _notify_socket(address) as notify:
            environment = os.environ | {"NETBOOT_CONFIG": str(self.paths.settings), "NOTIFY_SOCKET": str(address)}
            command = inside(self._lan.namespace, sys.executable, "-m", "netboot", "serve")
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *command, stdin=DEVNULL, stdout=log, stderr=log, env=environment
                )
            try:
                async with asyncio.timeout(READY_S):
                    await self._ready_or_gone(self._process, notify)
            except TimeoutError:
                raise LabError(f"the appliance was not ready in {READY_S:.0f} s:\n{self.log_tail()}") from None

    async def wait(self) -> int | None:
        return await self._process.wait() if self._process else None

    async def kill(self) -> None:
        """End it by SIGKILL, as a power cut does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """End it by SIGTERM; by SIGKILL when it does not end in time."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
        await self.kill()

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""

    async def _ready_or_gone(self, process: Process, notify: socket.socket) -> None:
        received = asyncio.create_task(_ready(notify))
        gone = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({received, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not received.done():
                raise LabError(f"the appliance ended with {gone.result()} at its start:\n{self.log_tail()}")
        finally:
            received.cancel()
            gone.cancel()


async def _ready(notify: socket.socket) -> None:
    while b"READY=1" not in (await asyncio.get_running_loop().sock_recv(notify, 4096)).split(b"\n"):
        pass


def _notify_socket(address: Path) -> socket.socket:
    """Return the socket on which a daemon reports READY=1 (sd_notify(3))."""
    address.unlink(missing_ok=True)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(address))
    notify.setblocking(False)
    return notify

"""The daemon as a process in the server's namespace of a `lan`, with the files of one small appliance."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

TIMEOUT_S = 10.0
T = TypeVar("T")

HOSTS = """\
cluster: {name: rackone, init: cp1}
roles:
  control-plane: {}
  worker: {}
hosts:
  cp1:
    role: control-plane
    mac: [52:54:00:aa:bb:01, 52:54:00:aa:bb:11]
    network: {address: 192.0.2.101/24, gateway: 192.0.2.1, nameservers: [192.0.2.2, 192.0.2.3]}
  w1: {role: worker, mac: 52:54:00:aa:bb:02, network: {address: 192.0.2.102/24}}
  w2: {role: worker, mac: 52:54:00:aa:bb:03, network: {address: 192.0.2.103/24}}
  far1:
    role: control-plane
    mac: 52:54:00:aa:bb:05
    network: {address: 203.0.113.105/24, gateway: 203.0.113.1}
"""


class Served:
    """One appliance: its directory, its log, its ledger, and the process that may be killed and started again."""

    def __init__(self, directory: Path, namespace: str, settings: str) -> None:
        self.directory = directory
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None
        loaders = directory / "loaders"
        loaders.mkdir()
        for name in ("undionly.kpxe", "snponly.efi", "snponly-arm64.efi"):
            (loaders / name).write_bytes(b"loader")
        (directory / "hosts.yaml").write_text(HOSTS)
        (directory / "netboot.yaml").write_text(
            f"""\
{settings}
admin: {{socket: control.sock, listen: 127.0.0.1:8470}}
content: {{directory: content}}
bootfiles: {{directories: [loaders]}}
store: {{url: sqlite+aiosqlite:///netboot.db}}
hosts: {{files: [hosts.yaml], unknown: wait}}
log: {{level: debug, format: json}}
"""
        )
        (directory / "content").mkdir()

    def start(self) -> "Served":
        """Start the daemon and wait until it is ready."""
        notify = self.directory / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(notify))
            manager.settimeout(TIMEOUT_S)
            self._process = self._launch(NOTIFY_SOCKET=str(notify))
            while b"READY=1" not in manager.recv(4096):
                pass
        return self

    def refuses_to_start(self) -> tuple[int, str]:
        """Start the daemon where it must not; return its exit code and what it said."""
        process = self._launch()
        return process.wait(TIMEOUT_S), self.log

    def kill(self) -> None:
        """As a power cut would end it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(TIMEOUT_S)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(TIMEOUT_S)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Read the log lines of one event."""
        found = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in found if line["event"] == event]

    def wait_for(self, event: str, **expected: Any) -> dict[str, Any]:
        """Wait for a log line of this event with these keys."""
        return wait_until(lambda: next((line for line in self.lines(event) if expected.items() <= line.items()), None))

    def leases(self) -> dict[str, tuple[str, str]]:
        """Read the leases on disk: address to client and state."""
        with sqlite3.connect(f"file:{self.directory}/netboot.db?mode=ro", uri=True) as store:
            rows = store.execute("SELECT address, client, state FROM leases").fetchall()
        return {address: (client, state) for address, client, state in rows}

    def _launch(self, **environment: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self._namespace, sys.executable, "-m", "netboot", "serve"],
                stderr=log,
                env=os.environ | {"NETBOOT_CONFIG": str(self.directory / "netboot.yaml")} | environment,
            )


@contextmanager
def serving(directory: Path, namespace: str, settings: str) -> Iterator[Served]:
    """Run one appliance with these settings."""
    served = Served(directory, namespace, settings)
    try:
        yield served.start()
    finally:
        served.stop()


def wait_until(head: Callable[[], T | None]) -> T:
    """Look again and again until something is there."""
    deadline = time.monotonic() + TIMEOUT_S
    while (found := head()) is None:
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found

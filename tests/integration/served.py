"""The daemon as a process in the server's namespace of a `lan`, with the files of one small appliance."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fixtures.daemon import Daemon

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


class Served(Daemon):
    """One appliance: its files, its leases on disk, its process."""

    def __init__(self, directory: Path, namespace: str, settings: str) -> None:
        super().__init__(directory, namespace)
        loaders = directory / "loaders"
        loaders.mkdir()
        for name in ("undionly.kpxe", "snponly.efi", "snponly-arm64.efi"):
            (loaders / name).write_bytes(b"loader")
        (directory / "hosts.yaml").write_text(HOSTS)
        self.config.write_text(
            f"""\
{settings}
admin: {{socket: control.sock, listen: 127.0.0.1:8470}}
content: {{directory: content}}
bootfiles: {{directories: [loaders]}}
store: {{url: sqlite+aiosqlite:///netboot.db}}
records: {{directory: records}}
hosts: {{files: [hosts.yaml], unknown: wait}}
log: {{level: debug, format: json}}
"""
        )
        (directory / "content").mkdir()

    def refuses_to_start(self) -> tuple[int, str]:
        """Start the daemon where it must not; return its exit code and its log."""
        self.launch()
        return self.wait(), self.log

    def leases(self) -> dict[str, tuple[str, str]]:
        """Read the leases on disk: address to client and state."""
        with sqlite3.connect(f"file:{self.directory}/netboot.db?mode=ro", uri=True) as store:
            rows = store.execute("SELECT address, client, state FROM leases").fetchall()
        return {address: (client, state) for address, client, state in rows}


@contextmanager
def serving(directory: Path, namespace: str, settings: str) -> Iterator[Served]:
    """Run one appliance with these settings."""
    served = Served(directory, namespace, settings)
    try:
        served.start()
        yield served
    finally:
        served.stop()

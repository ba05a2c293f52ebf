"""A PostgreSQL server that a test stops as a crash does, starts again, and cuts off; its data survive each stop."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from postgresql import BINARIES
from reliability.faults import a_disk

TIMEOUT_S = 60
PORT = 5432


@dataclass(frozen=True)
class OwnServer:
    """One server, reached by TCP on the loopback of a network namespace."""

    directory: Path
    namespace: str

    @property
    def url(self) -> str:
        """Return what `store.url` has."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{PORT}/postgres"

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        options = f"-p {PORT} -k {self.directory} -c listen_addresses=127.0.0.1 -c max_connections=60"
        log = self.directory / "log"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", TIMEOUT_S, "start")

    def start_unless_running(self) -> None:
        """Start it if it has ended, as its unit does; one that recovers by itself is awaited."""
        if self._is_running():
            self.query("SELECT 1")
        else:
            self.start()

    def stop_at_once(self) -> None:
        """End it without a checkpoint, as kill -9 of all its processes does."""
        if self._is_running():
            self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def query(self, statement: str) -> str:
        """Run a statement by psql."""
        return self._run("psql", "-h", self.directory, "-p", PORT, "-At", "-c", statement, "postgres")

    def faults(self) -> str:
        """Let PostgreSQL's own programs verify its tables and indexes: what they find; empty if nothing."""
        self.query("CREATE EXTENSION IF NOT EXISTS amcheck")
        return self._run("pg_amcheck", "-h", self.directory, "-p", PORT, "-U", "postgres", "postgres")

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Drop every packet to and from it meanwhile, without an answer: as a switch that failed."""
        rules = "add table ip cut; add chain ip cut in { type filter hook input priority 0; }; "
        rules += "".join(f"add rule ip cut in tcp {end} {PORT} drop; " for end in ("dport", "sport"))
        self._in_namespace("nft", rules)
        try:
            yield
        finally:
            self._in_namespace("nft", "delete table ip cut")

    def _is_running(self) -> bool:
        pid = self.data / "postmaster.pid"
        return pid.exists() and Path(f"/proc/{pid.read_text().split()[0]}").exists()

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def _in_namespace(self, *command: str) -> None:
        subprocess.run(["ip", "netns", "exec", self.namespace, *command], check=True, timeout=TIMEOUT_S)

    def _run(self, program: str, *arguments: object) -> str:
        command = ["ip", "netns", "exec", self.namespace, *as_postgres(), str(BINARIES / program)]
        with tempfile.TemporaryFile("w+") as output:  # a pipe would be held open by the server
            subprocess.run(
                [*command, *map(str, arguments)],
                check=True,
                cwd=self.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
            )
            output.seek(0)
            return output.read().strip()


def as_postgres() -> Sequence[str]:
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextmanager
def an_own_server(namespace: str, *, megabytes: int | None = None, has_log_beside: bool = False) -> Iterator[OwnServer]:
    """Run a server with an empty database in a network namespace; with `megabytes`, on a disk of its own.

    With `has_log_beside` its write-ahead log is not on that disk.
    """
    server = OwnServer(Path(tempfile.mkdtemp(prefix="netboot-own-", dir="/run")), namespace)
    owner = pwd.getpwnam("postgres")
    os.chown(server.directory, owner.pw_uid, owner.pw_gid)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, server.directory)
        if megabytes is not None:
            stack.enter_context(a_disk(server.data, megabytes=megabytes))
            os.chown(server.data, owner.pw_uid, owner.pw_gid)
        options = [f"--waldir={server.directory / 'wal'}"] if has_log_beside else []
        options += ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--wal-segsize=1"]
        server._run("initdb", "-D", server.data, *options)
        server.start()
        try:
            yield server
        finally:
            server.stop_at_once()

"""A PostgreSQL server of the tests' own, from Debian's binaries: a Unix socket in a temporary directory, no port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql/bin"))
START_S = 30.0
# A test's data need not survive a power cut.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=200")

_numbers = count()


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `directory` holds its socket. Anyone who reaches the socket is its superuser."""

    directory: Path

    def new_database(self, *, roles: Sequence[str] = ()) -> str:
        """Create an empty database and return its URL, as `store.url` has it; each of `roles` may do all in it."""
        name = f"test{next(_numbers)}"
        command = [BINARIES / "createdb", "--host", self.directory, "--username", "postgres", name]
        subprocess.run(command, check=True, timeout=START_S)
        for role in roles:
            make = f"DO $$ BEGIN CREATE ROLE {role} SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            for statement in (make, f"ALTER ROLE {role} LOGIN"):
                command = [
                    BINARIES / "psql",
                    "--host",
                    self.directory,
                    "--username",
                    "postgres",
                    "-qc",
                    statement,
                    name,
                ]
                subprocess.run(command, check=True, timeout=START_S)
        return f"postgresql+asyncpg://postgres@/{name}?host={self.directory}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server with no databases of its own as user `postgres`; it dies with this process."""
    # A socket's path has at most 107 bytes; /run is in memory, and the tests' own (.ci/isolated).
    directory = Path(tempfile.mkdtemp(prefix="netboot-postgresql-", dir="/run"))
    try:
        owner = pwd.getpwnam("postgres")
        os.chown(directory, owner.pw_uid, owner.pw_gid)
        data = directory / "data"
        initdb = [BINARIES / "initdb", "-D", data, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run([*_as_postgres(), *initdb], check=True, cwd=directory, stdout=subprocess.DEVNULL)
        options = [word for option in OPTIONS for word in ("-c", option)]
        with (directory / "log").open("wb") as log:
            command = [*_as_postgres(), BINARIES / "postgres", "-D", data, "-k", directory, *options]
            process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, directory)
            yield Server(directory)
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown: clients are disconnected
            process.wait(timeout=START_S)
    finally:
        shutil.rmtree(directory)


def _as_postgres() -> list[str]:
    # initdb and postgres refuse root.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=INT"]


def _wait_until_ready(process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + START_S
    while subprocess.run([BINARIES / "pg_isready", "--quiet", "--host", directory], check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"postgresql did not start: {(directory / 'log').read_text()}")
        time.sleep(0.05)

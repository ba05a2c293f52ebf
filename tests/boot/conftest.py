"""Fixtures: a house behind the doors, and content to serve in it."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from boot.house import LOADERS, MAC, OTHER_MAC, FakeClock, House, InHouse, Scenario

from netboot.boot.clock import Clock
from netboot.boot.desk import Desk
from netboot.boot.documents import Documents
from netboot.boot.file_desk import FileDesk
from netboot.boot.installs import InstallBook
from netboot.boot.offer_desk import OfferDesk
from netboot.boot.seen import SeenMachines
from netboot.boot.token_desk import TokenDesk
from netboot.content.assets import assets_directory
from netboot.content.bootfiles import BootFiles
from netboot.model.cluster import Cluster
from netboot.model.host import Host, HostName, HostSet, Role
from netboot.model.offer import Policy, UnknownHosts
from netboot.render.engine import Engine
from netboot.store.database import Database
from netboot.store.events import EventLog
from netboot.store.installs import Installs
from netboot.store.machines import Machines


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A medium and a release as the contract lays them out."""
    directory = tmp_path_factory.mktemp("content")
    medium = directory / "media" / "ol8u10-x86_64"
    (medium / "images").mkdir(parents=True)
    for name in ("vmlinuz", "initrd.img", "images/install.img"):
        (medium / name).write_bytes(name.encode() * 100)
    tree, repository = directory / "tree", directory / "ostree" / "ock-1.31-amd64"
    (tree / "usr").mkdir(parents=True)
    for number in range(20):
        (tree / "usr" / f"file{number}").write_text(str(number))
    repository.mkdir(parents=True)
    _ostree(repository, "init", "--mode=archive")
    _ostree(repository, "commit", "--branch=ock", f"--tree=dir={tree}", "--owner-uid=0", "--owner-gid=0")
    return directory


@pytest.fixture
def hosts(tmp_path: Path) -> HostSet:
    ign = tmp_path / "ign"
    shutil.copytree(assets_directory() / "examples" / "ign", ign)
    common: dict[str, Any] = {"boot_media": "ol8u10-x86_64", "release": "ock-1.31-amd64", "disk": "/dev/vda"}
    return HostSet.of(
        Cluster("rackone", "cp1"),
        [
            Host(HostName("cp1"), Role.CONTROL_PLANE, (MAC,), ignition=ign / "init.ign", **common),
            Host(HostName("w1"), Role.WORKER, (OTHER_MAC,), ignition=ign / "worker-join.ign", **common),
        ],
    )


@pytest.fixture
def in_house(tmp_path: Path, content: Path, hosts: HostSet) -> InHouse:
    """Run a scenario in a fresh house."""

    @asynccontextmanager
    async def house() -> AsyncIterator[House]:
        clock = FakeClock()
        database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/netboot.db")
        try:
            event_log = EventLog(database, now=clock.now)
            book = InstallBook(Installs(database), event_log, now=clock.now)
            desk = Desk(
                book=book,
                events=event_log,
                machines=Machines(database),
                seen=SeenMachines({}),
                clock=Clock(clock.now, clock.monotonic, clock.random_bytes),
            )
            documents = Documents(Engine([assets_directory() / "templates"]), content)
            policy = Policy(UnknownHosts.IGNORE, LOADERS)
            desk.use(hosts, policy, documents=documents, bootfiles=BootFiles([]))
            yield House(
                desk, OfferDesk(desk), FileDesk(desk), TokenDesk(desk), book, event_log, database, clock, tmp_path
            )
        finally:
            await database.close()

    def run(scenario: Scenario) -> Any:
        async def inside() -> Any:
            async with house() as opened:
                return await scenario(opened)

        return asyncio.run(inside())

    return run


def _ostree(repository: Path, *arguments: str) -> None:
    command = ["ostree", f"--repo={repository}", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=30)

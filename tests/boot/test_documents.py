"""`netboot check` names everything that one host's documents lack, not the first of it."""

import asyncio
from pathlib import Path

from netboot.boot.documents import Documents
from netboot.content.assets import assets_directory
from netboot.model.host import Host, HostName, Role
from netboot.model.mac import Mac
from netboot.render.engine import Engine


def problems(content: Path, *, release: str | None) -> list[str]:
    host = Host(HostName("w1"), Role.WORKER, (Mac.parse("52:54:00:aa:bb:11"),), release=release)
    documents = Documents(Engine([assets_directory() / "templates"]), content)
    return [str(problem) for problem in asyncio.run(documents.problems(host))]


def test_a_release_that_is_not_there_hides_no_missing_disk(tmp_path: Path):
    told = problems(tmp_path, release="ock-1.31-amd64")

    assert [line.rpartition("; ")[2] for line in told] == [
        "netboot content import-archive FILE --name ock-1.31-amd64",
        "set roles.worker.ignition to what ocne cluster start or join wrote",
        "set hosts.w1.disk",
        "set hosts.w1.boot_media",
    ]


def test_a_host_without_a_release_is_told_so_once(tmp_path: Path):
    told = problems(tmp_path, release=None)

    assert [line for line in told if "release" in line] == ["w1 has no release to install; set hosts.w1.release"]

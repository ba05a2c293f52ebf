"""Archives of other servers are requested, and those that do not answer are named."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from netboot.doctor.configuration.remote_releases import unreachable_releases
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.release import RemoteRelease


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[str]:
    """A web server with an archive that has the ref ock."""
    (tmp_path / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "refs" / "heads" / "ock").write_text("5" * 64)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def host(name: str, release: str | RemoteRelease) -> Host:
    return Host(HostName(name), Role.WORKER, (Mac("52:54:00:aa:bb:01"),), release=release, declared_at="hosts.yaml:1:1")


def test_a_ref_that_answers_and_a_local_release_have_no_warning(archive: str):
    hosts = [host("w1", RemoteRelease(archive, "ock")), host("w2", "ock-1.33")]

    assert asyncio.run(unreachable_releases(hosts)) == []


def test_a_ref_that_does_not_answer_is_named_once_with_its_hosts(archive: str):
    missing, closed = RemoteRelease(archive, "other"), RemoteRelease("http://127.0.0.1:1", "ock")
    hosts = [host("w1", missing), host("w2", closed), host("w3", missing)]

    cure = "correct url or ref, unless only the machines reach that server"
    assert asyncio.run(unreachable_releases(hosts)) == [
        f"hosts.yaml:1:1: hosts.w1.release: {archive}/refs/heads/other does not answer here (File not found); "
        f"{cure} (also w3)",
        "hosts.yaml:1:1: hosts.w2.release: http://127.0.0.1:1/refs/heads/ock does not answer here "
        f"([Errno 111] Connection refused); {cure}",
    ]

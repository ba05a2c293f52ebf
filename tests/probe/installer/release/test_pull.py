"""A pull beside one by the real ostree: the same requests; and what is printed of an archive that is damaged."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from fixtures.content_listener import Recorder, content_listener
from fixtures.listeners import default_shares
from fixtures.plain_web_server import plain_web_server
from fixtures.recording_proxy import RecordingProxy, recording_proxy

from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import LocalReader
from netboot.probe.installer.release.client_pool import ClientPool
from netboot.probe.installer.release.pull import PulledRelease, ReleasePull
from netboot.probe.machine_timeline import MachineTimeline


def ostree(*arguments: str) -> str:
    done = subprocess.run(["ostree", *arguments], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of one release with files, links, attributes and directories of several kinds; no summary."""
    tree, archive = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("archive")
    for number in range(40):
        file = tree / f"usr/lib/part{number % 7}/file{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(1 << (number % 18)))
    (tree / "usr/lib/part0/file0").chmod(0o4755)
    (tree / "usr/large").write_bytes(os.urandom(1_200_000))
    (tree / "empty").touch()
    (tree / "bin").symlink_to("usr/bin")
    with suppress(OSError):  # of a file system without attributes
        os.setxattr(tree / "empty", "user.netboot", b"an attribute")
    ostree("init", f"--repo={archive}", "--mode=archive")
    ostree("commit", f"--repo={archive}", "--branch=ock", f"--tree=dir={tree}", "--subject=test")
    return archive


@pytest.fixture(scope="session")
def archive_with_delta(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(archive, tmp_path_factory.mktemp("delta") / "ock"))
    add_delta(copy)
    return copy


@pytest.fixture
def copied_with_delta(archive_with_delta: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(archive_with_delta, tmp_path / "content/ostree/ock"))


@pytest.fixture
def copied(archive: Path, tmp_path: Path) -> Path:
    """A copy of the archive, to be changed, below a content directory."""
    content = tmp_path / "content"
    (content / "ostree").mkdir(parents=True)
    return Path(shutil.copytree(archive, content / "ostree" / "ock"))


def pull(port: int, *, ref_commit: str | None = None) -> PulledRelease:
    timeline = MachineTimeline(time.monotonic)

    async def run() -> PulledRelease:
        async with ClientPool(LocalReader(None, timeline)) as clients:
            url = f"http://127.0.0.1:{port}/ostree/ock"
            return await ReleasePull(clients, url, "ock", lambda: timeline.now_s, ref_commit).run()

    return asyncio.run(run())


def pull_by_ostree(port: int, directory: Path) -> None:
    ostree("init", f"--repo={directory}", "--mode=bare-user")
    ostree("remote", "add", f"--repo={directory}", "--no-gpg-verify", "ock", f"http://127.0.0.1:{port}/ostree/ock")
    ostree("pull", f"--repo={directory}", "ock", "ock")


def pulled_twice(copied: Path, tmp_path: Path) -> tuple[RecordingProxy, RecordingProxy, PulledRelease]:
    """Pull from our listener by ostree and by our client; give both records."""
    with content_listener(copied.parents[1], Recorder(), shares=default_shares()) as port:
        with recording_proxy(port) as theirs:
            pull_by_ostree(theirs.port, tmp_path / "theirs")
        with recording_proxy(port) as ours:
            pulled = pull(ours.port, ref_commit=(copied / "refs/heads/ock").read_text().strip())
    return theirs, ours, pulled


def add_delta(archive: Path, *options: str) -> None:
    commit = ostree("rev-parse", f"--repo={archive}", "ock")
    ostree("static-delta", "generate", f"--repo={archive}", "--empty", f"--to={commit}", *options)
    ostree("summary", "-u", f"--repo={archive}")


@pytest.mark.parametrize("has_summary", [False, True])
def test_it_requests_what_ostree_requests(copied: Path, tmp_path: Path, has_summary: bool):
    if has_summary:
        ostree("summary", "-u", f"--repo={copied}")

    theirs, ours, pulled = pulled_twice(copied, tmp_path)

    first = next(at for at, path in enumerate(ours.paths) if path.endswith(".commit")) + 1
    assert ours.paths[:first] == theirs.paths[:first]
    assert sorted(ours.paths) == sorted(theirs.paths)
    assert pulled.requests == len(ours.paths)
    assert pulled.objects == len(list(copied.glob("objects/*/*")))
    assert (pulled.commit, pulled.delta_bytes) == ((copied / "refs/heads/ock").read_text().strip(), None)
    assert ours.connections <= 8


@pytest.mark.parametrize("options", [(), ("--max-chunk-size=1", "--inline"), ("--min-fallback-size=1",)])
def test_it_takes_the_delta_as_ostree_does(copied: Path, tmp_path: Path, options: tuple[str, ...]):
    add_delta(copied, *options)

    theirs, ours, pulled = pulled_twice(copied, tmp_path)

    superblock = next(at for at, path in enumerate(ours.paths) if path.endswith("/superblock")) + 1
    assert ours.paths[:superblock] == theirs.paths[:superblock]
    assert set(ours.paths) <= set(theirs.paths)
    # ostree walks the commit while its parts are under way, and requests again what has not come yet.
    again = {path.removeprefix("/ostree/ock/") for path in set(theirs.paths) - set(ours.paths)}
    assert again <= {str(path.relative_to(copied)) for path in copied.glob("objects/*/*")}
    assert pulled.objects == len(list(copied.glob("objects/*/*")))
    assert pulled.delta_bytes is not None


def test_a_summary_that_is_stale_is_named(copied: Path):
    before = (copied / "refs/heads/ock").read_text().strip()
    ostree("summary", "-u", f"--repo={copied}")
    ostree("commit", f"--repo={copied}", "--branch=ock", f"--tree=ref={before}", "--subject=newer")

    with plain_web_server(copied.parents[1]) as port, pytest.raises(BootFailedError) as raised:
        pull(port)

    assert raised.value.sentence.startswith(f"the release's summary names the commit {before[:12]} for ock")
    assert "ostree summary -u" in raised.value.cure


def test_our_listener_serves_no_summary_that_is_stale(copied: Path, tmp_path: Path):
    before = (copied / "refs/heads/ock").read_text().strip()
    ostree("summary", "-u", f"--repo={copied}")
    ostree("commit", f"--repo={copied}", "--branch=ock", f"--tree=ref={before}", "--subject=newer")

    with content_listener(copied.parents[1], Recorder(), shares=default_shares()) as port:
        pulled = pull(port)

    assert pulled.commit == (copied / "refs/heads/ock").read_text().strip() != before


def largest(archive: Path, pattern: str) -> Path:
    return max(archive.glob(pattern), key=lambda path: path.stat().st_size)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


FAULTS = {
    "a file that is cut off": (lambda a: cut(largest(a, "objects/*/*.filez")), "it is cut off in its content"),
    "a file with other bytes": (lambda a: spoil(largest(a, "objects/*/*.filez")), "Corrupted filez object"),
    "a directory with other bytes": (lambda a: spoil(largest(a, "objects/*/*.dirtree")), "Corrupted dirtree object"),
    "a commit with other bytes": (lambda a: spoil(largest(a, "objects/*/*.commit")), "Corrupted commit object"),
    "an object that is gone": (lambda a: largest(a, "objects/*/*.filez").unlink(), "Server returned HTTP 404"),
    "an empty object": (lambda a: os.truncate(largest(a, "objects/*/*.filez"), 0), "it is cut off in its header"),
    "no ref": (lambda a: (a / "refs/heads/ock").unlink(), "refs/heads/ock: Server returned HTTP 404"),
    "a ref that is a page": (lambda a: (a / "refs/heads/ock").write_text("<html>"), "it is no checksum"),
}
FAULTS_OF_A_DELTA = {
    "a part with other bytes": (lambda a: spoil(largest(a, "deltas/*/*/0")), "checksum expected="),
    "a part that is cut off": (lambda a: cut(largest(a, "deltas/*/*/0")), "checksum expected="),
    "a part that is gone": (lambda a: largest(a, "deltas/*/*/0").unlink(), "Server returned HTTP 404"),
    "another superblock": (lambda a: spoil(largest(a, "deltas/*/*/superblock")), "superblock: checksum expected="),
    "a summary with other bytes": (lambda a: (a / "summary").write_bytes(b"no summary"), "summary: "),
    "a summary without the ref": (lambda a: (a / "refs/heads/ock").rename(a / "refs/heads/other"), None),
}


def failure(port: int) -> BootFailedError:
    with pytest.raises(BootFailedError) as raised:
        pull(port)
    return raised.value


@pytest.mark.parametrize(("fault", "shown"), FAULTS.values(), ids=FAULTS)
def test_what_is_damaged_is_named(copied: Path, fault: Callable[[Path], object], shown: str):
    fault(copied)

    with plain_web_server(copied.parents[1]) as port:
        error = failure(port)

    assert shown in error.sentence
    assert error.sentence.startswith("Anaconda stops with")
    assert "netboot content verify" in error.cure


@pytest.mark.parametrize(("fault", "shown"), FAULTS_OF_A_DELTA.values(), ids=FAULTS_OF_A_DELTA)
def test_what_is_damaged_of_a_delta_is_named(
    copied_with_delta: Path, fault: Callable[[Path], object], shown: str | None
):
    fault(copied_with_delta)
    if shown is None:
        ostree("summary", "-u", f"--repo={copied_with_delta}")

    with plain_web_server(copied_with_delta.parents[1]) as port:
        error = failure(port)

    assert (shown or "No such branch 'ock' in repository summary") in error.sentence


def test_a_transfer_that_breaks_is_repeated(copied: Path):
    with plain_web_server(copied.parents[1]) as port, recording_proxy(port) as proxy:
        proxy.cuts = 3
        pulled = pull(proxy.port)

    assert pulled.objects == len(list(copied.glob("objects/*/*")))
    assert len(proxy.paths) > pulled.requests

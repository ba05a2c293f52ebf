"""The real client of a node pulls a release while a file of its static delta is damaged, and gets it whole."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemon.test_scrub import RELEASE, flipped, scrubbed
from fixtures.daemon import LOW_PRIORITY_S, wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.rack import BASE, Rack

pytestmark = pytest.mark.integration

PART_BYTES = 6 << 20  # more than a superblock takes in itself, so that the delta has parts


@pytest.fixture
def rack_directory(tmp_path: Path) -> Path:
    """An appliance that makes deltas, with a release that needs parts of one."""
    write_files(tmp_path, settings=SETTINGS.replace("deltas: false", "deltas: true"))
    release, tree = tmp_path / "content/ostree" / RELEASE, tmp_path / "content/tree"
    for number in range(4):
        (tree / f"large{number}").write_bytes(os.urandom(PART_BYTES))
    command = ["ostree", f"--repo={release}", "commit", "--branch=ock", f"--tree=dir={tree}", "--no-xattrs"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return tmp_path


@contextmanager
def no_repair(content: Path) -> Iterator[None]:
    """Hold the lock of the library meanwhile, as an import does: a damaged delta stays."""
    with (content / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_files(release: Path) -> dict[str, Path]:
    """Find a file of each kind that was made beside the objects."""
    parts = sorted(each for each in release.glob("deltas/*/*/*") if each.name.isdigit())
    found = {
        "part": parts[0],
        "superblock": next(release.glob("deltas/*/*/superblock")),
        "summary": release / "summary",
    }
    return found | {"index": next(release.glob("delta-indexes/**/*.index"))}


def deltas_made(rack: Rack, count: int) -> None:
    wait_until(lambda: len(rack.lines("content.delta_made")) >= count or None, timeout_s=LOW_PRIORITY_S)


def pull(rack: Rack, place: Path) -> subprocess.CompletedProcess[str]:
    subprocess.run(["ostree", f"--repo={place}", "init", "--mode=bare-user"], check=True, timeout=30)
    add = ["ostree", f"--repo={place}", "remote", "add", "--no-gpg-verify", "netboot", f"{BASE}/ostree/{RELEASE}"]
    subprocess.run(add, check=True, timeout=30)
    command = ["ip", "netns", "exec", rack.client_namespace, "ostree", f"--repo={place}", "pull", "netboot", "ock"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("kind", ["part", "superblock", "summary", "index"])
def test_a_pull_goes_on_without_a_damaged_file_of_a_delta_which_is_made_again(rack: Rack, tmp_path: Path, kind: str):
    content = rack.directory / "content"
    release = content / "ostree" / RELEASE
    deltas_made(rack, 1)
    path = made_files(release)[kind]
    flipped(path)

    with no_repair(content):
        found = scrubbed(rack)
        pulled = pull(rack, tmp_path / "pulled")
        lines = json.dumps(rack.api("/api/v1/status")["problems"])
    rack.api("/api/v1/content/rescan", "-X", "POST", "-H", "Content-Type: application/json", "-d", "{}")
    scrubbed(rack)
    deltas_made(rack, 2)
    wait_until(lambda: not rack.api("/api/v1/content/scrub")["damaged"] or None, timeout_s=LOW_PRIORITY_S)
    again = pull(rack, tmp_path / "again")

    members = [each["member"] for each in found["damaged"]]
    assert path.relative_to(release).as_posix() in members
    assert pulled.returncode == 0, pulled.stderr
    assert "it is made again when nothing else changes the content" in lines
    assert again.returncode == 0, again.stderr
    for place in ("pulled", "again"):
        fsck = ["ostree", f"--repo={tmp_path / place}", "fsck"]
        assert subprocess.run(fsck, capture_output=True, timeout=60, check=False).returncode == 0


def test_a_ref_that_was_damaged_is_written_as_it_was_imported_and_the_delta_stays(rack: Rack, tmp_path: Path):
    content = rack.directory / "content"
    deltas_made(rack, 1)
    archive = content / "ostree" / RELEASE
    rack.netboot("content", "import-archive", str(archive), "--name", "imported")
    release = content / "ostree/imported"
    ref = release / "refs/heads/ock"
    superblock = wait_until(lambda: next(release.glob("deltas/*/*/superblock"), None), timeout_s=LOW_PRIORITY_S)
    commit, made = ref.read_text(), superblock.stat().st_ino
    ref.write_text("damaged\n")

    ended = scrubbed(rack)
    damage = rack.wait_for("content.damaged", content="imported")
    rack.wait_for("content.repaired", content="imported")

    assert ended["damaged"] == []
    assert (damage["file"], damage["reason"]) == (
        "refs/heads/ock",
        "it has not the checksum of a commit, or cannot be read",
    )
    assert ref.read_text() == commit
    assert superblock.stat().st_ino == made

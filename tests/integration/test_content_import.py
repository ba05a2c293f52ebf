"""`netboot content` as an operator runs it: killed at any moment, with foreign archives, pulled by `ostree`."""

import functools
import hashlib
import http.server
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20


def run(*command: str | Path, timeout: float = 60) -> str:
    return subprocess.run(
        [str(each) for each in command], check=True, capture_output=True, text=True, timeout=timeout
    ).stdout


class Appliance:
    """A configuration, and the command line on it."""

    def __init__(self, root: Path) -> None:
        self.content = root / "content"
        self._config = root / "netboot.yaml"
        self._config.write_text(
            f"content: {{directory: {self.content}}}\n"
            f"admin: {{socket: {root / 'control.sock'}}}\n"
            f"store: {{url: 'sqlite+aiosqlite:///{root / 'netboot.db'}'}}\n"
            "hosts: {files: [hosts.yaml]}\n"
        )
        (root / "hosts.yaml").write_text(
            "cluster: {name: test}\n"
            "hosts:\n  w1: {role: worker, mac: '52:54:00:aa:bb:01', boot_media: ol8, release: stable}\n"
        )

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "netboot", "--config", str(self._config), "content", *map(str, arguments)]

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=120, cwd=ROOT)

    def json(self, *arguments: str | Path) -> Any:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def netboot(tmp_path: Path) -> Appliance:
    return Appliance(tmp_path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    tree = root / "tree"
    dice = random.Random(5)
    for number in range(1500):
        path = tree / f"d{number % 30}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dice.randbytes(dice.randrange(6000)))
    run("ostree", "init", f"--repo={root / 'repo'}", "--mode=archive")
    run("ostree", "commit", f"--repo={root / 'repo'}", "--branch=ock", f"--tree=dir={tree}")
    return root / "repo"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """An archive that umoci builds and skopeo writes, as Podman would."""
    root = tmp_path_factory.mktemp("image")
    run("umoci", "init", "--layout", root / "oci")
    run("umoci", "new", "--image", f"{root / 'oci'}:ock")
    run("umoci", "insert", "--image", f"{root / 'oci'}:ock", repository, "/usr/share/nginx/html/ostree")
    path = root / "ock-1.31-amd64-ostree.tar"
    run(
        "skopeo",
        "--insecure-policy",
        "copy",
        f"oci:{root / 'oci'}:ock",
        f"oci-archive:{path}:localhost/ock-ostree:latest",
    )
    return path


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a directory by Python's own server; return its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    def start(directory: Path) -> str:
        handler = functools.partial(Quiet, directory=str(directory))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_archive_of_umoci_and_skopeo_is_imported_and_pulled_by_ostree(
    netboot: Appliance, archive: Path, repository: Path, tmp_path: Path, serve: Callable[[Path], str]
) -> None:
    imported = netboot.json("import-archive", archive)

    assert imported["name"].startswith("ock-1.31-")
    assert imported["is_new"] is True
    assert imported["commit"] == run("ostree", "rev-parse", f"--repo={repository}", "ock").strip()
    release = netboot.content / "ostree" / imported["name"]
    run("ostree", "fsck", f"--repo={release}")
    pulled = tmp_path / "pulled"
    run("ostree", "init", f"--repo={pulled}", "--mode=bare-user")
    run("ostree", "remote", "add", f"--repo={pulled}", "--no-gpg-verify", "ock", serve(release))
    run("ostree", "pull", f"--repo={pulled}", "ock", "ock")
    assert run("ostree", "rev-parse", f"--repo={pulled}", "ock:ock").strip() == imported["commit"]


IMPORT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from netboot.content.imports.archive_import import import_archive
from netboot.content.library.library import Library
import_archive(Library(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], now=datetime.now(UTC))
"""


def importing(netboot: Appliance, archive: Path, name: str) -> subprocess.Popen[bytes]:
    """Start an import as the command does, without the command's own start-up: a kill hits the work."""
    arguments = [sys.executable, "-c", IMPORT, str(netboot.content), str(archive), name]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)


def test_an_import_that_is_killed_leaves_nothing_and_the_next_one_works(netboot: Appliance, archive: Path) -> None:
    started = time.monotonic()
    with importing(netboot, archive, "before") as first:
        assert first.wait(60) == 0
    whole_s = time.monotonic() - started
    dice = random.Random()
    finished = set()

    for number in range(KILLS):
        with importing(netboot, archive, f"killed-{number}") as process:
            try:
                process.wait(timeout=whole_s * dice.uniform(0.1, 1.1))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        if (netboot.content / "ostree" / f"killed-{number}").exists():
            finished.add(f"killed-{number}")

    assert {view["name"] for view in netboot.json("list")} == {"before"} | finished
    assert all(
        verdict["ok"] for verdict in netboot.json("verify")
    )  # all that was published before the kill is complete
    netboot.json("import-archive", archive, "--name", "killed-0")
    assert (netboot.content / "ostree" / "killed-0").is_dir()
    netboot.json("gc")
    assert list((netboot.content / ".staging").iterdir()) == []


def test_an_import_that_was_killed_is_carried_on(netboot: Appliance, archive: Path) -> None:
    with importing(netboot, archive, "ock") as process:
        for _ in range(6000):
            staged = [path for path in netboot.content.glob(".staging/*/release/objects/*/*") if path.stat().st_size]
            if len(staged) > 100 or process.poll() is not None:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert len(staged) > 100
    assert not (netboot.content / "ostree").exists()
    staged_bytes = sum(path.stat().st_size for path in staged[:-1])  # the last may not be whole

    again = netboot("import-archive", archive, "--name", "ock")

    assert "continuing from " in again.stderr, again.stderr
    assert "of it were there already" in again.stdout, again.stdout
    assert netboot.json("show", "ock")["record"]["size_bytes"] > staged_bytes > 0
    assert all(verdict["ok"] for verdict in netboot.json("verify"))
    assert list((netboot.content / ".staging").iterdir()) == []


def test_a_fault_in_the_hosts_stops_nothing_but_the_removal_of_what_they_mention(
    netboot: Appliance, repository: Path
) -> None:
    (netboot.content.parent / "hosts.yaml").write_text("hosts:\n  w1: {role: wroker, release: ock-1}\n")

    netboot.json("import-archive", repository, "--name", "ock-1")
    netboot.json("promote", "ock-1", "stable")
    assert all(verdict["ok"] for verdict in netboot.json("verify"))
    assert {view["name"] for view in netboot.json("list")} == {"ock-1", "stable"}
    assert netboot.json("show", "stable")["alias_of"] == "ock-1"
    assert netboot.json("remove", "stable")["removed"] == "stable"
    refused = netboot("remove", "ock-1")

    assert refused.returncode == 1
    assert "cannot remove ock-1: " in refused.stderr
    assert "hosts.yaml:2 mentions it, and the hosts files have a fault" in refused.stderr


def test_promote_remove_and_their_refusals(netboot: Appliance, repository: Path) -> None:
    netboot.json("import-archive", repository, "--name", "ock-1")
    netboot.json("import-archive", repository, "--name", "ock-2")
    assert netboot.json("promote", "ock-1", "stable") == {
        "alias": "stable",
        "name": "ock-1",
        "tags": [],
        "effects": None,
    }

    listed = {view["name"]: (view["alias_of"], view["used_by"]) for view in netboot.json("list")}
    assert listed == {"ock-1": (None, []), "ock-2": (None, []), "stable": ("ock-1", ["w1"])}

    refused = netboot("remove", "stable")
    assert refused.returncode == 1
    assert refused.stderr.startswith("netboot: cannot remove stable: w1 refers to it (")
    assert refused.stderr.endswith("); give it another in the hosts files\n")
    refused = netboot("remove", "ock-1")
    assert refused.returncode == 1
    assert "cannot remove ock-1: it is also called stable" in refused.stderr

    netboot.json("promote", "ock-2", "stable")
    assert netboot.json("remove", "ock-1")["removed"] == "ock-1"
    assert {view["name"] for view in netboot.json("list")} == {"ock-2", "stable"}
    assert netboot("remove", "ock-1").returncode == 1


def test_a_bad_object_is_named_and_mended(netboot: Appliance, repository: Path) -> None:
    netboot.json("import-archive", repository, "--name", "ock-1")
    bad = next((netboot.content / "ostree" / "ock-1").rglob("*.filez"))
    bad.write_bytes(b"")
    member = str(bad.relative_to(netboot.content / "ostree" / "ock-1"))

    found = netboot("verify", "ock-1")

    assert found.returncode == 1
    assert f"ock-1: {member}: it does not begin with a filez header\n" in found.stdout
    (mended,) = netboot.json("verify", "ock-1", "--repair-from", repository)
    assert (mended["ok"], mended["repaired"]) == (True, [member])


def test_what_is_wrong_use_says_so(netboot: Appliance, tmp_path: Path) -> None:
    assert netboot("verify", "--repair-from", tmp_path).returncode == 2
    assert netboot("import-iso", tmp_path / "nothing.iso").returncode == 1
    assert netboot("import-archive", tmp_path / "nothing.tar").returncode == 1
    assert netboot("show", "nothing").returncode == 1


def test_progress_is_printed_in_plain_lines_without_a_terminal(netboot: Appliance, repository: Path) -> None:
    done = netboot("import-archive", repository, "--name", "ock-1")

    assert done.stderr.splitlines()[0] == f"copying {repository}"
    assert done.stdout.startswith("ock-1 is there now: commit ")
    assert done.stdout.endswith(", every object verified\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_fills_up_leaves_nothing(netboot: Appliance, tmp_path: Path, repository: Path) -> None:
    netboot.content.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=72m,nr_inodes=900", "tmpfs", netboot.content)
    try:
        full = netboot("import-archive", repository, "--name", "ock-1")
        assert full.returncode == 1
        assert "the file system is full: netboot content gc" in full.stderr
        run("mount", "-o", "remount,size=40m", netboot.content)
        small = netboot("import-archive", repository, "--name", "ock-1")
        assert small.returncode == 1
        assert "are free; netboot content gc, remove a release, or enlarge the file system" in small.stderr
        assert netboot.json("list") == []
    finally:
        run("umount", netboot.content)


def test_the_list_has_all_that_is_known_and_needs_neither_daemon_nor_store(
    netboot: Appliance, archive: Path, repository: Path
) -> None:
    netboot.json("import-archive", archive, "--name", "ock-1")
    shutil.copytree(repository, netboot.content / "ostree" / "by-hand")
    netboot.json("promote", "ock-1", "stable")
    (netboot.content.parent / "hosts.yaml").write_text("hosts:\n  w1: {role: wroker, release: ock-1}\n")

    listed = {view["name"]: view for view in netboot.json("list")}

    commit = (repository / "refs/heads/ock").read_text().strip()
    digest = f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    for name in ("ock-1", "stable", "by-hand"):
        assert (listed[name]["ref"], listed[name]["commit"]) == ("ock", commit)
    assert (listed["ock-1"]["source_digest"], listed["ock-1"]["aliases"]) == (digest, ["stable"])
    assert (listed["by-hand"]["source_digest"], listed["by-hand"]["imported_at"]) == (None, None)
    assert listed["stable"]["alias_of"] == "ock-1"
    assert netboot.json("show", "ock-1")["record"]["source_digest"] == digest

"""`import-archive` beside `tar x` and `ostree fsck`, on a made repository of small files.

Run: `python tests/bench/bench_import.py [OBJECTS] [MEAN_BYTES] [DIRECTORY]`. Needs `ostree` and `tar`, and space for
three copies, in memory unless DIRECTORY is given. The peer unpacks the outer archive and its layer as
`podman load` and `podman cp` would, checks no digest, and verifies the objects by `ostree fsck`; ours checks digests
and DiffIDs too. Wall-clock and CPU time of both, with children; on a busy machine compare the CPU time.
"""

# ruff: noqa: T201
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import bench_http

from netboot.content.imports.archive_import import import_archive
from netboot.content.library.library import Library

ROUNDS = 3


def make_repository(root: Path, count: int, mean: int) -> Path:
    """Commit `count` files, half of each compressible."""
    dice = random.Random(1)
    for number in range(count):
        directory = root / "tree" / f"d{number // 40:04}"
        directory.mkdir(parents=True, exist_ok=True)
        half = int(dice.expovariate(1 / mean)) // 2
        (directory / f"f{number}").write_bytes(dice.randbytes(half) + bytes(half))
    repo = root / "repo"
    for command in (["init", "--mode=archive"], ["commit", "--branch=ock", f"--tree=dir={root / 'tree'}"]):
        subprocess.run(["ostree", command[0], f"--repo={repo}", *command[1:]], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(root / "tree")
    return repo


def make_archive(root: Path, repo: Path) -> Path:
    """Lay the repository out as Podman's oci-archive, with one plain layer."""
    layer = root / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(repo, "usr/share/nginx/html/ostree")
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    blobs = root / "oci" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layer.rename(blobs / digest)

    def blob(value: object) -> dict[str, object]:
        data = json.dumps(value).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}

    described = {"digest": f"sha256:{digest}", "size": (blobs / digest).stat().st_size}
    rootfs = {"type": "layers", "diff_ids": [described["digest"]]}
    config = blob({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    manifest = blob({"schemaVersion": 2, "config": config, "layers": [described]})
    (root / "oci" / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    archive = root / "bench-amd64-ostree.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(root / "oci", ".")
    shutil.rmtree(root / "oci")
    return archive


def peer(root: Path, archive: Path) -> None:
    """Unpack by tar, verify by ostree."""
    outer, inner = root / "outer", root / "inner"
    outer.mkdir()
    inner.mkdir()
    subprocess.run(["tar", "xf", archive, "-C", outer], check=True)
    layer = max((outer / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    subprocess.run(["tar", "xf", layer, "-C", inner], check=True)
    repo = inner / "usr/share/nginx/html/ostree"
    subprocess.run(["ostree", "fsck", "--quiet", f"--repo={repo}"], check=True, stdout=subprocess.DEVNULL)
    os.sync()


def ours(root: Path, archive: Path) -> None:
    """Import."""
    import_archive(Library(root / "content"), archive, now=datetime.now(UTC))


def ours_once_more(root: Path, archive: Path) -> None:
    """Import the same objects as a second release, which links them."""
    library = Library(root / "content")
    import_archive(library, archive, now=datetime.now(UTC))
    started = cpu_s(), time.monotonic()
    import_archive(library, archive, "second", now=datetime.now(UTC))
    print(f"    of it the second: {time.monotonic() - started[1]:.2f} s, CPU {cpu_s() - started[0]:.2f} s")


def cpu_s() -> float:
    """Sum the CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measured(work: Callable[[Path, Path], None], root: Path, archive: Path) -> tuple[float, float]:
    """Run once in an empty directory; return wall-clock and CPU seconds."""
    with tempfile.TemporaryDirectory(dir=root) as directory:
        os.sync()
        began, used = time.monotonic(), cpu_s()
        work(Path(directory), archive)
        return time.monotonic() - began, cpu_s() - used


def main() -> None:
    """Make, measure in turns, print."""
    count, mean = (int(each) for each in (sys.argv[1:3] or ("50000", "7000")))
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else bench_http.in_memory()) as directory:
        root = Path(directory)
        archive = make_archive(root, make_repository(root, count, mean))
        print(f"{count} files, archive {archive.stat().st_size / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}")
        for _ in range(ROUNDS):
            for name, work in (("tar x + ostree fsck", peer), ("import-archive", ours), ("two", ours_once_more)):
                wall_s, used_s = measured(work, root, archive)
                print(f"{name:20} {wall_s:6.2f} s  CPU {used_s:6.2f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"our peak RSS {peak:.0f} MB, of a child {worker:.0f} MB")


if __name__ == "__main__":
    main()

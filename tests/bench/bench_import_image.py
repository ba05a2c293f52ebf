"""`import-image` beside `skopeo copy` to a directory plus `ostree fsck` of the release, on a made OCK image.

Run: `python tests/bench/bench_import_image.py [MEGABYTES] [PACKING] [CHUNKS] [DIRECTORY]` (1700, `none`, 40, memory).
MEGABYTES is the size of the unpacked files: pieces of the programs, libraries and texts of this computer, so that they
pack as such files do; each differs from all others. Needs `ostree` and `skopeo`, and space for six copies. The peer
copies the blobs and verifies their digests, then verifies every object of the imported release; ours also unpacks the
layers, checks DiffIDs, deflates each object and syncs. In turns; on a busy machine compare the CPU time.
"""

# ruff: noqa: T201
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import bench_http
from bench_import import measured

sys.path.insert(0, str(Path(__file__).parents[1]))
from fixtures.ostree_images.commits import commit_tree, ostree
from fixtures.ostree_images.exporter import Form, exported
from fixtures.ostree_images.layouts import oci_archive

from netboot.content.imports.ostree_image.ostree_import import import_ostree_image
from netboot.content.library.library import Library

ROUNDS = 3
POOL_BYTES = 400 << 20
LARGEST_BYTES = 64 << 20
LABELS = 60  # distinct extended attributes, as SELinux has them


def real_bytes() -> bytes:
    """Read what programs, libraries and texts of this computer have."""
    pool = bytearray()
    for directory in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/bin", "/usr/share", "/usr/lib"):
        for parent, _, names in os.walk(directory):
            for name in sorted(names):
                path = Path(parent, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 16 << 20:
                    pool += path.read_bytes()
                if len(pool) > POOL_BYTES:
                    return bytes(pool)
    return bytes(pool)


def make_tree(root: Path, size_bytes: int) -> int:
    """Write files of lognormal sizes (median 4 kB, mean some 30 kB, a few of many megabytes); return their number."""
    dice, pool = random.Random(1), real_bytes()
    left, number = size_bytes, 0
    while left > 0:
        directory = root / f"usr/d{number // 60:04}"
        directory.mkdir(parents=True, exist_ok=True)
        size = min(left, LARGEST_BYTES, int(dice.lognormvariate(8.3, 2.0)) + 1)
        at = dice.randrange(len(pool) - size)
        path = directory / f"f{number}"
        path.write_bytes(number.to_bytes(4, "big") + pool[at : at + size])
        if number % 3:
            os.setxattr(path, "user.label", f"system_u:object_r:type{number % LABELS}_t:s0".encode())
        left -= size
        number += 1
    return number


def make_image(root: Path, size_bytes: int, packing: str, chunks: int) -> tuple[Path, int]:
    """Make the image; return its oci-archive and the number of files."""
    count = make_tree(root / "tree", size_bytes)
    ostree("init", f"--repo={root / 'repo'}", "--mode=archive")
    ostree("config", f"--repo={root / 'repo'}", "set", "archive.zlib-level", "1")  # for speed; it is not measured
    commit = commit_tree(root / "repo", root / "tree")
    shutil.rmtree(root / "tree")
    layout = exported(commit, Form(chunks=chunks, packing=packing)).write(root / "oci")
    shutil.rmtree(root / "repo")
    archive = oci_archive(layout, root / "ock-1.33.tar")
    shutil.rmtree(layout)
    return archive, count


def ours(root: Path, archive: Path) -> None:
    """Import the image."""
    import_ostree_image(Library(root / "content"), archive, "ock", now=datetime.now(UTC))


def skopeo(root: Path, archive: Path) -> None:
    """Copy the image to a directory, and sync as ours does."""
    command = [
        "skopeo",
        "--insecure-policy",
        "--tmpdir",
        root,
        "copy",
        "-q",
        f"oci-archive:{archive}",
        f"dir:{root / 'dir'}",
    ]
    subprocess.run(command, check=True)
    os.sync()


def main() -> None:
    """Make, measure in turns, print."""
    size, packing, chunks, *where = (*sys.argv[1:], *("1700", "none", "40")[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory(dir=where[0] if where else bench_http.in_memory()) as directory:
        root = Path(directory)
        archive, count = make_image(root, int(size) * 1_000_000, packing, int(chunks))
        import_ostree_image(Library(root / "kept"), archive, "ock", now=datetime.now(UTC))
        release = root / "kept/ostree/ock"

        def fsck(_root: Path, _archive: Path) -> None:
            ostree("fsck", "--quiet", f"--repo={release}")

        def again(scratch: Path, source: Path) -> None:
            shutil.copytree(release, scratch / "content/ostree/earlier", copy_function=os.link)
            ours(scratch, source)

        print(f"{count} files, archive {archive.stat().st_size / 1e6:.0f} MB, {packing}, load {os.getloadavg()[0]:.1f}")
        for _ in range(ROUNDS):
            copied, checked = measured(skopeo, root, archive), measured(fsck, root, archive)
            print(
                f"skopeo copy + ostree fsck  {copied[0] + checked[0]:6.2f} s  CPU {copied[1] + checked[1]:6.2f} s",
                end="",
            )
            print(f"  ({copied[0]:.2f} + {checked[0]:.2f} s)")
            for name, work in (("import-image", ours), ("again, all objects linked", again)):
                wall_s, used_s = measured(work, root, archive)
                print(f"{name:26} {wall_s:6.2f} s  CPU {used_s:6.2f} s")
        print(f"our peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()

"""An archive made by the real `ostree`, and a boot medium beside it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def ostree(*arguments: str | Path) -> str:
    """Run the real program."""
    return subprocess.run(
        ["ostree", *map(str, arguments)], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def make_archive(repo: Path, tree: Path, *, ref: str = "ock") -> str:
    """Commit a tree into an archive as the OCK build does; return the commit."""
    ostree("init", f"--repo={repo}", "--mode=archive")
    return ostree(
        "commit",
        f"--repo={repo}",
        f"--branch={ref}",
        f"--tree=dir={tree}",
        "--owner-uid=0",
        "--owner-gid=0",
        "-s",
        "OCK",
    ).strip()


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind: nested, empty, equal, linked, large, with names in UTF-8; a directory wide enough that its
    framing offsets take four bytes."""
    root = tmp_path_factory.mktemp("tree")
    wide = root / "usr" / "share" / "wide"
    wide.mkdir(parents=True)
    for n in range(300):
        (wide / f"file-with-a-long-name-{n:06}-{'x' * 200}").write_text(str(n))
    (root / "usr" / "empty").mkdir()
    (root / "usr" / "bin").mkdir()
    (root / "usr" / "bin" / "a").write_bytes(b"same")
    (root / "usr" / "bin" / "b").write_bytes(b"same")
    (root / "usr" / "bin" / "link").symlink_to("a")
    (root / "usr" / "bin" / "b").chmod(0o755)
    (root / "é").write_bytes(bytes(300_000))
    return root


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, tree: Path) -> Path:
    """A repository that tests only read."""
    repo = tmp_path_factory.mktemp("repo") / "ock"
    make_archive(repo, tree)
    return repo


@pytest.fixture
def content_directory(tmp_path: Path, archive: Path) -> Path:
    """A content directory with one medium `ol8` and one release `ock-1`, free to be changed."""
    root = tmp_path / "content"
    repo = root / "ostree" / "ock-1"
    shutil.copytree(archive, repo, ignore=shutil.ignore_patterns("objects"))
    shutil.copytree(archive / "objects", repo / "objects", copy_function=os.link)  # nobody writes into an object
    medium = root / "media" / "ol8"
    (medium / "images").mkdir(parents=True)
    (medium / "vmlinuz").write_bytes(b"kernel")
    (medium / "initrd.img").write_bytes(b"initrd")
    (medium / "images" / "install.img").write_bytes(b"stage2" * 20_000)
    return root

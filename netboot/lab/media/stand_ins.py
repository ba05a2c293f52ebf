"""The lab's content directory, built once per set of inputs and kept in a cache.

Layout, as the daemon reads it: media/<medium>/{vmlinuz,initrd.img,images/install.img} and ostree/<release>/.
The key is a hash of the lab's scripts, the build code, and the versions of the copied programs.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from netboot.content.assets import assets_directory
from netboot.lab.media.installed import build_release
from netboot.lab.media.installer import build_medium
from netboot.lab.media.kernel import fetch_kernel
from netboot.lab.media.roots import run
from netboot.lab.records import locked
from netboot.model.release import EntryKind

MEDIUM: Final = "lab-installer"
RELEASE: Final = "lab-ock"
_KEPT_BUILDS = 3
_PACKAGES = (
    *("busybox-static", "curl", "ostree", "ignition", "xfsprogs", "dosfstools", "fdisk", "efibootmgr"),
    *("systemd-boot-efi", "bash", "passwd", "libc6"),
)

Say = Callable[[str], None]


def cache_directory() -> Path:
    """Return the directory of builds: $NETBOOT_LAB_CACHE or /var/cache/netboot-lab."""
    return Path(os.environ.get("NETBOOT_LAB_CACHE", "/var/cache/netboot-lab"))


def build_media(say: Say) -> Path:
    """Return the content directory of the lab, building it first if needed, in about 40 s."""
    cache = cache_directory()
    assets = assets_directory() / "lab"
    wanted = cache / "media" / media_key(assets)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache / "media.lock"):
        if not wanted.is_dir():
            _build(wanted, assets, say)
            _remove_old(wanted.parent)
    os.utime(wanted)
    return wanted


def media_key(assets: Path) -> str:
    """Hash everything that a build depends on: scripts, builders, versions of the copied programs."""
    digest = hashlib.sha256()
    for path in sorted(path for path in assets.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(assets)}\0".encode() + path.read_bytes())
    for builder in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(builder.read_bytes())
    digest.update(run("dpkg-query", "--show", *_PACKAGES))
    return digest.hexdigest()[:16]


def _build(wanted: Path, assets: Path, say: Say) -> None:
    started = time.monotonic()

    def report(what: str) -> None:
        say(f"lab media: {what} ({time.monotonic() - started:.0f} s)")

    for unfinished in wanted.parent.glob(".build-*"):  # of a killed build; the lock excludes a running one
        shutil.rmtree(unfinished, ignore_errors=True)
    # Beside its final place, so that one rename publishes the complete build.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=wanted.parent) as name:
        work, content = Path(name) / "work", Path(name) / "content"
        report("fetching Debian's cloud kernel")
        kernel = fetch_kernel(work / "kernel")
        report(f"kernel {kernel.version}; building the installer")
        medium = EntryKind.MEDIUM.path(content, MEDIUM)
        build_medium(medium, kernel, assets=assets, work=work)
        report(
            f"initrd.img {_megabytes(medium / 'initrd.img')}, install.img {_megabytes(medium / 'images/install.img')}"
        )
        repository = EntryKind.RELEASE.path(content, RELEASE)
        build_release(repository, kernel, assets=assets, work=work)
        objects = [path for path in (repository / "objects").rglob("*") if path.is_file()]
        report(f"OSTree archive: {len(objects)} objects, {sum(o.stat().st_size for o in objects) / 1e6:.0f} MB")
        content.rename(wanted)


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def _remove_old(builds: Path) -> None:
    """Keep the newest builds; a running lab has its own hard links, so its content remains."""
    newest = sorted(builds.iterdir(), key=lambda build: build.stat().st_mtime, reverse=True)
    for build in newest[_KEPT_BUILDS:]:
        shutil.rmtree(build, ignore_errors=True)

"""The lab's content directory, built once per set of inputs and kept in a cache.

Layout, as the daemon reads it: media/<medium>/{vmlinuz,initrd.img,images/install.img} and ostree/<release>/.
The key is a hash of the lab's scripts, of the code that builds, and of the versions of the programs that are copied.
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

MEDIUM: Final = "lab-installer"
RELEASE: Final = "lab-ock"
_KEPT_BUILDS = 3
_PACKAGES = ("busybox-static", "curl", "ostree", "ignition", "xfsprogs", "dosfstools", "fdisk", "efibootmgr")
_PACKAGES_TOO = ("systemd-boot-efi", "bash", "passwd", "libc6")
_BUILDERS = ("roots.py", "kernel.py", "installer.py", "installed.py", "stand_ins.py")

Say = Callable[[str], None]


def cache_directory() -> Path:
    """Return where builds are kept: $NETBOOT_LAB_CACHE or /var/cache/netboot-lab."""
    return Path(os.environ.get("NETBOOT_LAB_CACHE", "/var/cache/netboot-lab"))


def build_media(say: Say) -> Path:
    """Return the content directory of the lab, built first if no earlier run has; about 40 s then."""
    cache = cache_directory()
    assets = assets_directory() / "lab"
    wanted = cache / "media" / media_key(assets)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache / "media.lock"):
        if not wanted.is_dir():
            _build(wanted, assets, say)
            _forget_old(wanted.parent)
    os.utime(wanted)
    return wanted


def media_key(assets: Path) -> str:
    """Hash everything that decides what a build holds: scripts, builders, versions of the copied programs."""
    digest = hashlib.sha256()
    for path in sorted(path for path in assets.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(assets)}\0".encode() + path.read_bytes())
    for name in _BUILDERS:
        digest.update((Path(__file__).parent / name).read_bytes())
    digest.update(run("dpkg-query", "--show", *_PACKAGES, *_PACKAGES_TOO))
    return digest.hexdigest()[:16]


def _build(wanted: Path, assets: Path, say: Say) -> None:
    started = time.monotonic()

    def told(what: str) -> None:
        say(f"lab media: {what} ({time.monotonic() - started:.0f} s)")

    for unfinished in wanted.parent.glob(".build-*"):  # of a build that was killed; the lock says there is no other
        shutil.rmtree(unfinished, ignore_errors=True)
    # Beside its final place, so that the last step is one rename: a build is there whole or not at all.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=wanted.parent) as name:
        work, content = Path(name) / "work", Path(name) / "content"
        told("fetching Debian's cloud kernel")
        kernel = fetch_kernel(work / "kernel")
        told(f"kernel {kernel.version}; building the installer")
        medium = content / "media" / MEDIUM
        build_medium(medium, kernel, assets=assets, work=work)
        told(f"initrd.img {_megabytes(medium / 'initrd.img')}, install.img {_megabytes(medium / 'images/install.img')}")
        repository = content / "ostree" / RELEASE
        build_release(repository, kernel, assets=assets, work=work)
        objects = [path for path in (repository / "objects").rglob("*") if path.is_file()]
        told(f"OSTree archive: {len(objects)} objects, {sum(o.stat().st_size for o in objects) / 1e6:.0f} MB")
        content.rename(wanted)


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def _forget_old(builds: Path) -> None:
    """Keep the newest builds; what a running lab serves are hard links of its own, so nothing is taken from it."""
    newest = sorted(builds.iterdir(), key=lambda build: build.stat().st_mtime, reverse=True)
    for build in newest[_KEPT_BUILDS:]:
        shutil.rmtree(build, ignore_errors=True)

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
from netboot.content.library.disk import megabytes, tree_size
from netboot.lab.media.installed import build_release
from netboot.lab.media.kernel import Kernel, fetch_kernel
from netboot.lab.media.roots import add_file, make_root, pack_initrd, run, unpack_package
from netboot.lab.records import locked
from netboot.model.release import EntryKind

MEDIUM: Final = "lab-installer"
RELEASE: Final = "lab-ock"
_KEPT_BUILDS = 3
_PACKAGES = (
    *("busybox-static", "curl", "ostree", "ignition", "xfsprogs", "dosfstools", "fdisk", "efibootmgr"),
    *("systemd-boot-efi", "bash", "passwd", "libc6"),
)

_STAGE1_MODULES = ("virtio_pci", "virtio_net", "loop", "squashfs", "overlay")
_STAGE2_MODULES = ("virtio_blk", "virtio_scsi", "sd_mod", "xfs", "vfat", "nls_ascii", "nls_cp437", "efivarfs")
_STAGE2_PROGRAMS = (
    *("bash", "curl", "sfdisk", "mkfs.vfat", "mkfs.xfs", "blkid", "lsblk", "wipefs", "ostree", "efibootmgr", "ip"),
)
# Only unpacked: each would replace another package of this computer.
_UNPACKED: Final = {"iputils-arping": "usr/bin/arping", "chrony": "usr/sbin/chronyd"}

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
            newest = sorted(wanted.parent.iterdir(), key=lambda build: build.stat().st_mtime, reverse=True)
            for old in newest[_KEPT_BUILDS:]:  # a running lab has its own hard links, so its content remains
                shutil.rmtree(old, ignore_errors=True)
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
        _build_medium(medium, kernel, assets=assets, work=work)
        sizes = [f"{name} {megabytes((medium / name).stat().st_size)}" for name in ("initrd.img", "images/install.img")]
        report(", ".join(sizes))
        repository = EntryKind.RELEASE.path(content, RELEASE)
        build_release(repository, kernel, assets=assets, work=work)
        report(f"OSTree archive: {megabytes(tree_size(repository / 'objects'))}")
        content.rename(wanted)


def _build_medium(medium: Path, kernel: Kernel, *, assets: Path, work: Path) -> None:
    """Write the stand-in for Oracle Linux's boot medium: it sends Anaconda's requests and runs a real Kickstart."""
    (medium / "images").mkdir(parents=True)
    shutil.copy2(kernel.image, medium / "vmlinuz")
    pack_initrd(_stage1(work / "stage1", kernel, assets), medium / "initrd.img")
    stage2, image = _stage2(work / "stage2", kernel, assets, work), medium / "images/install.img"
    run(
        "mksquashfs", stage2, image, "-comp", "zstd", "-Xcompression-level", "15", "-all-root", "-quiet", "-no-progress"
    )


def _stage1(directory: Path, kernel: Kernel, assets: Path) -> Path:
    root = make_root(directory, "curl")
    (root / "etc").mkdir()  # for resolv.conf
    kernel.add_modules(root, _STAGE1_MODULES)
    add_file(root, "lib/netboot/common.sh", assets / "common.sh")
    add_file(root, "lib/netboot/udhcpc", assets / "udhcpc", mode=0o755)
    add_file(root, "init", assets / "installer/stage1", mode=0o755)
    return root


def _stage2(directory: Path, kernel: Kernel, assets: Path, work: Path) -> Path:
    for package in _UNPACKED:
        unpack_package(package, work / package)
    root = make_root(directory, *_STAGE2_PROGRAMS, *(work / package / path for package, path in _UNPACKED.items()))
    kernel.add_modules(root, _STAGE2_MODULES)
    for shared in ("common.sh", "boot_entries.sh"):
        add_file(root, f"lib/netboot/{shared}", assets / shared)
    for part in ("kickstart.sh", "disk.sh", "payload.sh", "loader.sh"):
        add_file(root, f"usr/libexec/netboot/{part}", assets / "installer" / part)
    add_file(root, "usr/sbin/init", assets / "installer/stage2", mode=0o755)
    add_file(root, "usr/sbin/udevadm", assets / "installer/udevadm", mode=0o755)
    add_file(root, "usr/bin/reboot", assets / "installer/reboot", mode=0o755)
    add_file(root, "usr/libexec/netboot/anaconda", assets / "installer/anaconda", mode=0o755)
    add_file(root, "etc/passwd", assets / "installer/passwd")
    for name in ("mnt/sysroot", "root", "var/tmp"):  # without /var/tmp a pull fails: `open(O_TMPFILE)`
        (root / name).mkdir(parents=True, exist_ok=True)
    return root

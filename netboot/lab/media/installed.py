"""The stand-in for an OCK release: an OSTree archive repository with one commit on the ref `ock`.

No summary and no deltas, as `ocne image create` leaves it. The commit's initramfs runs the real `ignition` and the
real `ostree-prepare-root`; its init is a small script instead of systemd. Its scripts are in assets/lab.
"""

import lzma
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from netboot.lab.media.kernel import Kernel
from netboot.lab.media.roots import add_file, make_root, pack_initrd, run, unpack_package

REF = "ock"
_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "bonding", "xfs", "vfat", "nls_ascii", "nls_cp437")
_IGNITION = Path("/usr/lib/dracut/modules.d/30ignition/ignition")
_PREPARE_ROOT = Path("usr/lib/ostree/ostree-prepare-root")
_USER_PROGRAMS = ("useradd", "usermod", "userdel", "groupadd", "groupdel")  # ignition calls them with --root
_SYSTEMD_BOOT = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
_DIRECTORIES = ("boot", "sysroot", "var", "usr/etc/sysconfig/network-scripts", "usr/etc/systemd/system")


def build_release(repository: Path, kernel: Kernel, *, assets: Path, work: Path) -> None:
    tree = _tree(work / "tree", kernel, assets)
    pack_initrd(_initramfs(work / "initramfs", kernel, assets, work), _modules(tree, kernel) / "initramfs.img")
    repository.mkdir(parents=True)
    run("ostree", "init", f"--repo={repository}", "--mode=archive")
    run(
        *("ostree", "commit", f"--repo={repository}", f"--branch={REF}", f"--tree=dir={tree}"),
        *("--owner-uid=0", "--owner-gid=0", "--no-xattrs"),
        *("--timestamp=2026-01-01T00:00:00Z", "--subject=netboot's stand-in for OCK"),
    )


def _modules(tree: Path, kernel: Kernel) -> Path:
    return tree / "usr/lib/modules" / kernel.version


def _tree(directory: Path, kernel: Kernel, assets: Path) -> Path:
    """Lay out the commit: /usr/etc instead of /etc, kernel and initramfs beside their modules, as ostree requires."""
    tree = make_root(directory, "curl", "findfs")
    for name in _DIRECTORIES:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name, target in (("ostree", "sysroot/ostree"), ("home", "var/home"), ("root", "var/roothome")):
        (tree / name).symlink_to(target)
    add_file(tree, "usr/sbin/init", assets / "installed/init", mode=0o755)
    add_file(tree, "usr/lib/netboot/boot_entries.sh", assets / "boot_entries.sh")
    add_file(tree, "usr/lib/os-release", assets / "installed/os-release")
    add_file(tree, f"usr/lib/ostree-boot/efi/EFI/{_SYSTEMD_BOOT.name}", _SYSTEMD_BOOT)
    shutil.copytree(assets / "installed/etc", tree / "usr/etc", dirs_exist_ok=True)
    for secret in ("shadow", "gshadow"):
        (tree / "usr/etc" / secret).chmod(0o600)
    _add_compressed_modules(tree, kernel)
    return tree


def _add_compressed_modules(tree: Path, kernel: Kernel) -> None:
    # Compressed, as RHEL ships them: raw ones are 91 MB to hash and cost the pull 7 s more.
    target = _modules(tree, kernel)
    target.mkdir(parents=True)
    shutil.copy2(kernel.image, target / "vmlinuz")

    def compress(module: Path) -> None:
        packed = target / module.relative_to(kernel.modules).with_suffix(".ko.xz")
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(lzma.compress(module.read_bytes(), check=lzma.CHECK_CRC32, preset=1))

    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in pool.map(compress, sorted(kernel.modules.rglob("*.ko"))):
            pass


def _initramfs(directory: Path, kernel: Kernel, assets: Path, work: Path) -> Path:
    unpack_package("ostree-boot", work / "ostree-boot")
    root = make_root(directory, _IGNITION, work / "ostree-boot" / _PREPARE_ROOT, "findfs", *_USER_PROGRAMS)
    # Debian's ignition always relabels; there is no SELinux policy in the lab, so setfiles is a no-op.
    setfiles = root / "usr/sbin/setfiles"
    setfiles.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    setfiles.chmod(0o755)
    kernel.add_modules(root, _MODULES)
    add_file(root, "lib/netboot/common.sh", assets / "common.sh")
    add_file(root, "lib/netboot/udhcpc", assets / "udhcpc", mode=0o755)
    add_file(root, "init", assets / "installed/initramfs", mode=0o755)
    (root / "etc").mkdir(exist_ok=True)
    return root

"""The stand-in for Oracle Linux's boot medium: `vmlinuz`, `initrd.img` and `images/install.img`.

It sends the same requests as Anaconda and runs a real Kickstart with real tools. Its scripts are in assets/lab.
"""

import shutil
from pathlib import Path

from netboot.lab.media.kernel import Kernel
from netboot.lab.media.roots import add_file, add_program, add_scripts, make_root, pack_initrd, pack_squashfs

_STAGE1_MODULES = ("virtio_pci", "virtio_net", "loop", "squashfs", "overlay")
_STAGE2_MODULES = ("virtio_blk", "xfs", "vfat", "nls_ascii", "nls_cp437", "efivarfs")
_STAGE2_PROGRAMS = ("bash", "curl", "sfdisk", "mkfs.vfat", "mkfs.xfs", "blkid", "ostree", "efibootmgr")


def build_medium(medium: Path, kernel: Kernel, *, assets: Path, work: Path) -> None:
    (medium / "images").mkdir(parents=True)
    shutil.copy2(kernel.image, medium / "vmlinuz")
    pack_initrd(_stage1(work / "stage1", kernel, assets), medium / "initrd.img")
    pack_squashfs(_stage2(work / "stage2", kernel, assets), medium / "images/install.img")


def _stage1(directory: Path, kernel: Kernel, assets: Path) -> Path:
    root = make_root(directory)
    (root / "etc").mkdir()  # for resolv.conf
    add_program(root, "curl")
    kernel.add_modules(root, _STAGE1_MODULES)
    add_file(root, "lib/netboot/common.sh", assets / "common.sh")
    add_scripts(root, [(assets / "udhcpc", "lib/netboot/udhcpc"), (assets / "installer/stage1", "init")])
    return root


def _stage2(directory: Path, kernel: Kernel, assets: Path) -> Path:
    root = make_root(directory)
    for program in _STAGE2_PROGRAMS:
        add_program(root, program)
    kernel.add_modules(root, _STAGE2_MODULES)
    add_file(root, "lib/netboot/common.sh", assets / "common.sh")
    for part in ("kickstart.sh", "disk.sh", "payload.sh", "loader.sh"):
        add_file(root, f"usr/libexec/netboot/{part}", assets / "installer" / part)
    add_scripts(
        root,
        [
            (assets / "installer/stage2", "usr/sbin/init"),
            (assets / "installer/anaconda", "usr/libexec/netboot/anaconda"),
        ],
    )
    for name in ("mnt/sysroot", "etc", "root", "var/tmp"):  # without /var/tmp a pull fails: `open(O_TMPFILE)`
        (root / name).mkdir(parents=True, exist_ok=True)
    return root

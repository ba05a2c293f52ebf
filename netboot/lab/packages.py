"""Checks the lab's requirements: root, and Debian packages, each with a file that shows that it is installed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from netboot.errors import LabError

PACKAGES: Final[Mapping[str, str]] = {
    "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
    "ovmf": "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "seabios": "/usr/share/seabios/bios-256k.bin",
    "ipxe": "/usr/lib/ipxe/snponly.efi",
    "ipxe-qemu": "/usr/lib/ipxe/qemu/pxe-virtio.rom",
    "dnsmasq-base": "/usr/sbin/dnsmasq",
    "ostree": "/usr/bin/ostree",
    "ignition": "/usr/lib/dracut/modules.d/30ignition/ignition",
    "busybox-static": "/bin/busybox",
    "curl": "/usr/bin/curl",
    "xfsprogs": "/usr/sbin/mkfs.xfs",
    "dosfstools": "/usr/sbin/mkfs.vfat",
    "fdisk": "/usr/sbin/sfdisk",
    "efibootmgr": "/usr/bin/efibootmgr",
    "systemd-boot-efi": "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
    "squashfs-tools": "/usr/bin/mksquashfs",
    "kmod": "/usr/sbin/depmod",
    "zstd": "/usr/bin/zstd",
    "cpio": "/usr/bin/cpio",
    "passwd": "/usr/sbin/useradd",
    "util-linux": "/usr/bin/nsenter",
}


def require_lab_packages(packages: Mapping[str, str] = PACKAGES) -> None:
    """Raise LabError with the command to run if a requirement is missing."""
    if os.geteuid() != 0:
        raise LabError("cannot make the lab's network namespaces: this is not root; run it with sudo")
    missing = [package for package, file in packages.items() if not Path(file).exists()]
    if missing:
        raise LabError(f"the lab needs packages: apt-get install --no-install-recommends {' '.join(missing)}")

"""Programs that tests need and this machine must not have installed: loaders that the lab's appliance serves beside the
installed ones (GRUB for x86-64 and arm64, shim), a time server, and Linux for arm64.

GRUB that reads by HTTP is made of Debian's modules: its finished images have no `http`. Packages of arm64 cannot be
installed on amd64, and installing the signed ones would change how this machine boots: apt downloads them with lists of
its own, so that this machine's stay as they are, and they are only unpacked, in the cache.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.lab.lab_hosts import HTTP_PORT
from netboot.lab.lan.namespaces import APPLIANCE
from netboot.lab.media.kernel import Kernel, image_package
from netboot.lab.media.roots import run
from netboot.lab.media.stand_ins import cache_directory
from netboot.lab.records import locked

GRUB_X64: Final = "grubx64.efi"
GRUB_ARM64: Final = "grubaa64.efi"
HTTP_GRUB_ARM64: Final = "grubaa64-http.efi"
SHIM_X64: Final = "shimx64.efi"
_MODULES: Final = (
    *("normal", "http", "efinet", "net", "linux", "echo", "sleep", "reboot", "test", "configfile", "gzio"),
    *("minicmd", "search", "search_fs_file", "chain", "part_gpt", "fat"),  # for the loader of the disk
)


@dataclass(frozen=True, slots=True)
class _Package:
    """A package that is never installed: of another architecture, or one that changes this machine."""

    name: str
    architecture: str = "amd64"


_GRUB_MODULES_ARM64: Final = _Package("grub-efi-arm64-bin", "arm64")
_SHIM: Final = _Package("shim-signed")
_SIGNED_GRUB: Final = _Package("grub-efi-amd64-signed")
_CHRONY: Final = _Package("chrony")
_KERNEL_ARM64: Final = _Package("linux-image-cloud-arm64", "arm64")  # what it depends on is unpacked
_BUSYBOX_ARM64: Final = _Package("busybox-static", "arm64")
_PACKAGES: Final = (_GRUB_MODULES_ARM64, _SHIM, _SIGNED_GRUB, _CHRONY, _KERNEL_ARM64, _BUSYBOX_ARM64)
# Upstream's GRUB does not read the URL of its device path, as Red Hat's does: its directory is passed to it.
_EARLY_CONFIG: Final = """\
net_bootp
normal (http,{server})/boot/$net_efinet0_dhcp_mac/grub.cfg
"""


def add_grub(directory: Path) -> None:
    """Put a GRUB for x86-64 into a directory of loaders."""
    _make_grub(directory / GRUB_X64, "--format=x86_64-efi")


def add_arm64_grub(directory: Path) -> None:
    """Put Debian's GRUB for arm64 into a directory of loaders."""
    _copy(_GRUB_MODULES_ARM64, "usr/lib/grub/arm64-efi/monolithic/grubnetaa64.efi", directory / GRUB_ARM64)


def add_arm64_http_grub(directory: Path) -> None:
    """Put a GRUB for arm64 that reads by HTTP into a directory of loaders."""
    modules = _unpacked(_GRUB_MODULES_ARM64) / "usr/lib/grub/arm64-efi"
    _make_grub(directory / HTTP_GRUB_ARM64, "--format=arm64-efi", f"--directory={modules}")


def add_shim(directory: Path) -> None:
    """Put Debian's signed shim and its signed GRUB into a directory of loaders."""
    _copy(_SHIM, "usr/lib/shim/shimx64.efi.signed", directory / SHIM_X64)
    _copy(_SIGNED_GRUB, "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", directory / GRUB_X64)


def time_server() -> Path:
    """Return chrony's daemon, whose package would replace the time service of this machine."""
    return _unpacked(_CHRONY) / "usr/sbin/chronyd"


def arm64_kernel() -> Kernel:
    """Return Debian's cloud kernel for arm64."""
    tree = _unpacked(_KERNEL_ARM64)
    return Kernel(tree, next((tree / "lib/modules").iterdir()).name)


def arm64_busybox() -> Path:
    """Return Debian's static busybox for arm64."""
    return _unpacked(_BUSYBOX_ARM64) / "bin/busybox"


def fetch_packages() -> None:
    """Download every package that the cache has not."""
    for package in _PACKAGES:
        _unpacked(package)


def _make_grub(image: Path, *options: str) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    early = image.with_name(".early.cfg")
    early.write_text(_EARLY_CONFIG.format(server=f"{APPLIANCE.ip}:{HTTP_PORT}"))
    run("grub-mkimage", *options, "--prefix=", f"--config={early}", f"--output={image}", *_MODULES)


def _copy(package: _Package, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_unpacked(package) / path, target)


def _unpacked(package: _Package) -> Path:
    """Return the directory of the package's files, in the cache."""
    cache = cache_directory()
    tree = cache / "packages" / package.name
    with locked(cache / "packages.lock"):
        if not tree.exists():
            _download(package, tree)
    return tree


def _download(package: _Package, tree: Path) -> None:
    work = tree.with_name(".download")
    shutil.rmtree(work, ignore_errors=True)
    for directory in ("lists/partial", "archives/partial"):
        (work / directory).mkdir(parents=True)
    settings = {
        "APT::Architecture": package.architecture,
        "APT::Architectures": package.architecture,
        "APT::Sandbox::User": "root",
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": work,
    }
    options = ("--quiet", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")))
    run("apt-get", *options, "update")
    name = package.name
    if package is _KERNEL_ARM64:
        name = image_package(run("apt-cache", *options, "depends", "--important", name).decode())
    run("apt-get", *options, "download", name, cwd=work)
    run("dpkg", "--extract", next(work.glob(f"{name}_*.deb")), work / "tree")
    if package is _KERNEL_ARM64:
        run("depmod", "-b", work / "tree", name.removeprefix("linux-image-"))
    (work / "tree").rename(tree)
    shutil.rmtree(work)


if __name__ == "__main__":
    fetch_packages()

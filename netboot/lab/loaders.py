"""Loaders that the lab's appliance serves beside the installed ones: GRUB for x86-64 and arm64, and shim.

GRUB for x86-64 is made of Debian's modules: its finished images have no `http`. Debian's own image for arm64 is in no
package that amd64 can install, and installing the signed ones would change how this machine boots: these are downloaded
by apt with lists of its own, so that this machine's stay as they are, and kept in the cache.
"""

import shutil
from pathlib import Path
from typing import Final

from netboot.lab.network import APPLIANCE
from netboot.lab.records import locked
from netboot.lab.roots import run

GRUB_X64: Final = "grubx64.efi"
GRUB_ARM64: Final = "grubaa64.efi"
SHIM_X64: Final = "shimx64.efi"
_MODULES: Final = ("normal", "http", "efinet", "net", "linux", "echo", "sleep", "reboot", "test", "configfile", "gzio")
_MONOLITHIC_ARM64: Final = Path("usr/lib/grub/arm64-efi/monolithic/grubnetaa64.efi")
_SIGNED_SHIM: Final = Path("usr/lib/shim/shimx64.efi.signed")
_SIGNED_GRUB: Final = Path("usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed")
# Upstream's GRUB does not read the URL of its device path, as Red Hat's does: it is told in which directory it lies.
_EARLY_CONFIG: Final = """\
net_bootp
normal (http,{server})/boot/$net_efinet0_dhcp_mac/grub.cfg
"""


def add_grub(directory: Path, *, http_port: int) -> None:
    """Put a GRUB for x86-64 into a directory of loaders."""
    directory.mkdir(parents=True, exist_ok=True)
    early = directory / ".early.cfg"
    early.write_text(_EARLY_CONFIG.format(server=f"{APPLIANCE.ip}:{http_port}"))
    image = ("--format=x86_64-efi", "--prefix=", f"--config={early}", f"--output={directory / GRUB_X64}")
    run("grub-mkimage", *image, *_MODULES)


def add_arm64_grub(directory: Path, cache: Path) -> None:
    """Put Debian's GRUB for arm64 into a directory of loaders; the first time about 10 MB are downloaded."""
    _add(directory, GRUB_ARM64, cache=cache, package=("grub-efi-arm64-bin", "arm64"), path=_MONOLITHIC_ARM64)


def add_shim(directory: Path, cache: Path) -> None:
    """Put Debian's signed shim and its signed GRUB into a directory of loaders; downloaded the first time."""
    _add(directory, SHIM_X64, cache=cache, package=("shim-signed", "amd64"), path=_SIGNED_SHIM)
    _add(directory, GRUB_X64, cache=cache, package=("grub-efi-amd64-signed", "amd64"), path=_SIGNED_GRUB)


def _add(directory: Path, name: str, *, cache: Path, package: tuple[str, str], path: Path) -> None:
    kept = cache / "loaders" / package[0] / name
    with locked(cache / "loaders.lock"):
        if not kept.exists():
            _download(kept, *package, path=path)
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, directory / name)


def _download(wanted: Path, package: str, architecture: str, *, path: Path) -> None:
    """Take one file out of a package that is never installed: for another architecture, or with a say in booting."""
    work = wanted.parent / ".download"
    shutil.rmtree(work, ignore_errors=True)
    for directory in ("lists/partial", "archives/partial"):
        (work / directory).mkdir(parents=True)
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": work,
    }
    apt = ("apt-get", "--quiet", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))
    run(*apt, "update")
    run(*apt, "download", package, cwd=work)
    run("dpkg", "--extract", next(work.glob(f"{package}_*.deb")), work)
    (work / path).rename(wanted)
    shutil.rmtree(work)

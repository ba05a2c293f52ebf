"""Programs that tests need and this machine must not have installed: loaders that the lab's appliance serves beside the
installed ones (GRUB for x86-64 and arm64, shim), and a time server.

GRUB for x86-64 is made of Debian's modules: its finished images have no `http`. Debian's own image for arm64 is in no
package that amd64 can install, and installing the signed ones would change how this machine boots: these are downloaded
by apt with lists of its own, so that this machine's stay as they are, and kept in the cache.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.lab.lab_hosts import HTTP_PORT
from netboot.lab.lan.namespaces import APPLIANCE
from netboot.lab.media.roots import run
from netboot.lab.media.stand_ins import cache_directory
from netboot.lab.records import locked

GRUB_X64: Final = "grubx64.efi"
GRUB_ARM64: Final = "grubaa64.efi"
SHIM_X64: Final = "shimx64.efi"
_MODULES: Final = ("normal", "http", "efinet", "net", "linux", "echo", "sleep", "reboot", "test", "configfile", "gzio")


@dataclass(frozen=True, slots=True)
class _Download:
    """One file of a package that is never installed: of another architecture, or one that changes this machine."""

    name: str
    package: str
    architecture: str
    path: str


_GRUB_ARM64: Final = _Download(
    GRUB_ARM64, "grub-efi-arm64-bin", "arm64", "usr/lib/grub/arm64-efi/monolithic/grubnetaa64.efi"
)
_SHIM: Final = _Download(SHIM_X64, "shim-signed", "amd64", "usr/lib/shim/shimx64.efi.signed")
_SIGNED_GRUB: Final = _Download(
    GRUB_X64, "grub-efi-amd64-signed", "amd64", "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
)
_CHRONYD: Final = _Download("chronyd", "chrony", "amd64", "usr/sbin/chronyd")
# Upstream's GRUB does not read the URL of its device path, as Red Hat's does: its directory is passed to it.
_EARLY_CONFIG: Final = """\
net_bootp
normal (http,{server})/boot/$net_efinet0_dhcp_mac/grub.cfg
"""


def add_grub(directory: Path) -> None:
    """Put a GRUB for x86-64 into a directory of loaders."""
    directory.mkdir(parents=True, exist_ok=True)
    early = directory / ".early.cfg"
    early.write_text(_EARLY_CONFIG.format(server=f"{APPLIANCE.ip}:{HTTP_PORT}"))
    image = ("--format=x86_64-efi", "--prefix=", f"--config={early}", f"--output={directory / GRUB_X64}")
    run("grub-mkimage", *image, *_MODULES)


def add_arm64_grub(directory: Path) -> None:
    """Put Debian's GRUB for arm64 into a directory of loaders; the first time about 10 MB are downloaded."""
    _add(directory, _GRUB_ARM64)


def add_shim(directory: Path) -> None:
    """Put Debian's signed shim and its signed GRUB into a directory of loaders; downloaded the first time."""
    _add(directory, _SHIM)
    _add(directory, _SIGNED_GRUB)


def time_server() -> Path:
    """Return chrony's daemon, whose package would replace the time service of this machine."""
    return _fetch(_CHRONYD)


def fetch_programs() -> None:
    """Download every program that the cache has not."""
    for download in (_GRUB_ARM64, _SHIM, _SIGNED_GRUB, _CHRONYD):
        _fetch(download)


def _add(directory: Path, download: _Download) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_fetch(download), directory / download.name)


def _fetch(download: _Download) -> Path:
    cache = cache_directory()
    kept = cache / "loaders" / download.package / download.name
    with locked(cache / "loaders.lock"):
        if not kept.exists():
            _download(download, kept)
    return kept


def _download(download: _Download, wanted: Path) -> None:
    work = wanted.parent / ".download"
    shutil.rmtree(work, ignore_errors=True)
    for directory in ("lists/partial", "archives/partial"):
        (work / directory).mkdir(parents=True)
    options = {
        "APT::Architecture": download.architecture,
        "APT::Architectures": download.architecture,
        "APT::Sandbox::User": "root",
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": work,
    }
    apt = ("apt-get", "--quiet", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))
    run(*apt, "update")
    run(*apt, "download", download.package, cwd=work)
    run("dpkg", "--extract", next(work.glob(f"{download.package}_*.deb")), work)
    (work / download.path).rename(wanted)
    shutil.rmtree(work)


if __name__ == "__main__":
    fetch_programs()

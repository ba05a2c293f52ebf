"""Loaders that the lab's appliance serves beside the installed ones: GRUB for x86-64 and arm64.

GRUB for x86-64 is made of Debian's modules: its finished images have no `http`. It asks for its configuration as a
UEFI HTTP boot leads it to do. Debian's own image for arm64 is in no package that amd64 can install: it is downloaded by
apt with lists of its own, so that this machine's stay as they are, and kept in the cache.
"""

import shutil
from pathlib import Path
from typing import Final

from netboot.lab.network import APPLIANCE
from netboot.lab.records import locked
from netboot.lab.roots import run

GRUB_X64: Final = "grubx64.efi"
GRUB_ARM64: Final = "grubaa64.efi"
UNDIONLY: Final = "undionly.kpxe"
_MODULES: Final = ("normal", "http", "efinet", "net", "linux", "echo", "sleep", "reboot", "test", "configfile", "gzio")
_MONOLITHIC_ARM64: Final = Path("usr/lib/grub/arm64-efi/monolithic/grubnetaa64.efi")
_PACKAGE_ARM64: Final = "grub-efi-arm64-bin"
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
    """Put GRUB for arm64 into a directory of loaders; downloaded once, about 10 MB of lists and 1.4 MB of package."""
    kept = cache / "loaders" / GRUB_ARM64
    with locked(cache / "loaders.lock"):
        if not kept.exists():
            _download(kept)
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, directory / GRUB_ARM64)


def _download(wanted: Path) -> None:
    work = wanted.parent / ".download"
    shutil.rmtree(work, ignore_errors=True)
    for directory in ("lists/partial", "archives/partial"):
        (work / directory).mkdir(parents=True)
    options = (
        ("APT::Architecture", "arm64"),
        ("APT::Architectures", "arm64"),
        ("APT::Sandbox::User", "root"),
        ("Dir::State::Lists", work / "lists"),
        ("Dir::State::Status", "/dev/null"),
        ("Dir::Cache", work),
        ("Dir::Etc::SourceList", "/etc/apt/sources.list"),
    )
    apt = ("apt-get", "--quiet", *(word for name, value in options for word in ("-o", f"{name}={value}")))
    run(*apt, "update")
    run(*apt, "download", _PACKAGE_ARM64, cwd=work)
    run("dpkg", "--extract", next(work.glob(f"{_PACKAGE_ARM64}_*.deb")), work)
    (work / _MONOLITHIC_ARM64).rename(wanted)
    shutil.rmtree(work)

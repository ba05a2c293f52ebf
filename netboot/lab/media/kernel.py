"""The lab's kernel: Debian's cloud kernel, downloaded and unpacked, never installed.

It has ext4, af_packet, the serial console, the EFI stub and zstd initrds built in; the rest are modules,
put into a root as a flat directory and a list in load order.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from netboot.errors import LabError
from netboot.lab.media.roots import run, unpack_package

META_PACKAGE = "linux-image-cloud-amd64"


@dataclass(frozen=True, slots=True)
class Kernel:
    directory: Path
    version: str  # 6.1.0-56-cloud-amd64

    @property
    def image(self) -> Path:
        """The bzImage, with an EFI stub."""
        return self.directory / f"boot/vmlinuz-{self.version}"

    @property
    def modules(self) -> Path:
        """The directory of its modules, with the files that depmod wrote."""
        return self.directory / f"lib/modules/{self.version}"

    def add_modules(self, root: Path, names: Iterable[str]) -> None:
        """Copy modules into a root, flat, with their load order in `list`: dependencies first, none twice."""
        target = root / "lib/netboot/modules"
        target.mkdir(parents=True, exist_ok=True)
        order: dict[str, None] = {}
        for name in names:
            shown = run("modprobe", "-d", self.directory, "-S", self.version, "-D", name).decode()
            for module in re.findall(r"^insmod (\S+)", shown, re.MULTILINE):
                order[Path(module).name] = None
                shutil.copy2(module, target)
        (target / "list").write_text("".join(f"{name}\n" for name in order))


def fetch_kernel(directory: Path) -> Kernel:
    """Download the package behind `linux-image-cloud-amd64` by apt and unpack it into `directory`."""
    depends = subprocess.run(
        ["apt-cache", "depends", "--important", META_PACKAGE], capture_output=True, text=True, check=False
    ).stdout
    package = image_package(depends)
    unpack_package(package, directory)
    kernel = Kernel(directory, package.removeprefix("linux-image-"))
    run("depmod", "-b", directory, kernel.version)
    return kernel


def image_package(depends: str) -> str:
    """Read the name of the real kernel package from the output of `apt-cache depends`."""
    found = re.search(r"Depends: (linux-image-\d\S*)", depends)
    if found is None:
        raise LabError(f"cannot find a kernel for the lab: apt knows no {META_PACKAGE}; run `apt-get update`")
    return found[1]

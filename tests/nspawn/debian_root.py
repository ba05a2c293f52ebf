"""A Debian 12 with systemd and with what netboot needs, in the cache: `python -m nspawn.debian_root` builds it, once.

It takes about two minutes and a mirror of Debian. What netboot requires is in /opt/netboot, as README's first step has
it; netboot itself is not, because each run installs it from the working tree. Nothing changes the directory later: a
container has it below its own layer in memory.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from netboot.lab.media.stand_ins import cache_directory
from netboot.lab.records import locked

PROJECT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = (
    "ca-certificates", "curl", "dbus", "ipxe", "iproute2", "ostree", "python3", "python3-venv", "systemd",
    "systemd-sysv",
)  # fmt: skip


def wanted_root() -> Path:
    """Return where the tree of these packages and requirements is, or will be."""
    key = json.dumps([PACKAGES, _requirements()]).encode()
    return cache_directory() / f"debian-{hashlib.sha256(key).hexdigest()[:16]}"


def root() -> Path:
    """Return the tree; raise FileNotFoundError with the command that builds it."""
    found = wanted_root()
    if not found.is_dir():
        raise FileNotFoundError(f"no {found}; build it: PYTHONPATH=tests {sys.executable} -m nspawn.debian_root")
    return found


def build() -> Path:
    """Build the tree if it is missing, and remove those of earlier requirements."""
    wanted = wanted_root()
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with locked(wanted.with_name("debian.lock")):
        if not wanted.is_dir():
            for old in wanted.parent.glob("debian-*"):
                shutil.rmtree(old)
            made = Path(tempfile.mkdtemp(prefix="debian-new-", dir=wanted.parent))
            try:
                _build(made)
                made.rename(wanted)
            finally:
                shutil.rmtree(made, ignore_errors=True)
    return wanted


def netboot_wheel(directory: Path) -> Path:
    """Build the wheel of the working tree, without the network."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", directory,
         PROJECT], check=True,
    )  # fmt: skip
    (wheel,) = directory.glob("netboot_ocne-*.whl")
    return wheel


def _build(tree: Path) -> None:
    tree.chmod(0o755)
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", tree], check=True
    )
    wheels = tree / "wheels"
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "-w", wheels, *_requirements()], check=True)
    inside = ["chroot", tree, "env", "-i", f"PATH={os.defpath}:/usr/sbin:/sbin", "HOME=/root"]
    subprocess.run([*inside, "python3", "-m", "venv", "/opt/netboot"], check=True)
    install = ["/opt/netboot/bin/pip", "install", "-q", "--no-index", "--find-links=/wheels"]
    subprocess.run([*inside, *install, *_requirements()], check=True)
    shutil.rmtree(wheels)


def _requirements() -> list[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["postgres"]]


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")

"""Builds root file systems from this computer's programs: busybox, single tools with their libraries, kernel modules.

Nothing is installed here: a root's files are copied from the running Debian, or from a package that is only unpacked.
"""

import shutil
import subprocess
from pathlib import Path

from netboot.errors import LabError

BUSYBOX = Path("/bin/busybox")  # Debian's busybox-static
_MERGED = ("bin", "sbin", "lib", "lib64")
_DIRECTORIES = ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "dev", "proc", "sys", "run", "tmp")
# The real programs are copied; these applets would take precedence.
_NOT_BUSYBOX = frozenset({"blkid", "findfs", "mkfs.vfat"})


def run(*command: str | Path, cwd: Path | None = None, stdin: bytes | None = None) -> bytes:
    """Run one build command to its end and return its output; raise LabError with its error output."""
    try:
        done = subprocess.run([str(word) for word in command], cwd=cwd, input=stdin, capture_output=True, check=True)
    except FileNotFoundError:
        raise LabError(f"cannot build the lab's media: no program {command[0]}; install its package") from None
    except subprocess.CalledProcessError as failure:
        said = (failure.stderr or failure.stdout).decode(errors="replace").strip()[-600:]
        raise LabError(f"cannot build the lab's media: {command[0]} ended with {failure.returncode}: {said}") from None
    return done.stdout


def make_root(directory: Path, *programs: str | Path) -> Path:
    """Make a root, usr-merged, with busybox, a link for each of its applets, and these programs."""
    for name in _DIRECTORIES:
        (directory / name).mkdir(parents=True, exist_ok=True)
    for name in _MERGED:
        (directory / name).symlink_to(f"usr/{name}")
    shutil.copy2(BUSYBOX, directory / "usr/bin/busybox")
    for applet in run(BUSYBOX, "--list").decode().split():
        if applet not in _NOT_BUSYBOX and applet != "busybox":
            (directory / "usr/bin" / applet).symlink_to("busybox")
    for program in programs:
        add_program(directory, program)
    return directory


def add_program(root: Path, program: str | Path) -> None:
    """Copy a program (a name on PATH or a path) and every library it is linked with; replaces a busybox link."""
    found = shutil.which(str(program), path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise LabError(f"cannot build the lab's media: no program {program}; install its package")
    source = Path(found)
    _replace(source, root / "usr/bin" / source.name)
    listing = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
    for library in parse_ldd(listing):
        _replace(library, root / library.relative_to("/"))


def parse_ldd(listing: str) -> tuple[Path, ...]:
    """Read the paths from the output of ldd: `name => /path (0x…)` and `/lib64/ld-linux… (0x…)`."""
    words = (line.split("=>")[-1].split() for line in listing.splitlines())
    return tuple(Path(word[0]) for word in words if word and word[0].startswith("/"))


def add_file(root: Path, path: str, source: Path, *, mode: int = 0o644) -> None:
    """Copy one file to `path` below the root with this mode."""
    target = root / path
    _replace(source, target)
    target.chmod(mode)


def pack_initrd(root: Path, image: Path) -> None:
    """Write the root as a zstd-compressed newc archive, owned by root."""
    names = run("find", ".", "-mindepth", "1", "-print0", cwd=root)
    archive = run("cpio", "--create", "--format=newc", "--null", "--owner=0:0", "--quiet", cwd=root, stdin=names)
    image.write_bytes(run("zstd", "-15", "-T0", "--quiet", "--stdout", stdin=archive))


def unpack_package(package: str, directory: Path) -> None:
    """Download a Debian package and unpack it; an install would change this computer's kernel and initramfs."""
    directory.mkdir(parents=True, exist_ok=True)
    run("apt-get", "-o", "APT::Sandbox::User=root", "--quiet", "download", package, cwd=directory)
    archive = next(directory.glob(f"{package}_*.deb"))
    run("dpkg", "--extract", archive, directory)
    archive.unlink()


def _replace(source: Path, target: Path) -> None:
    # A plain copy onto a busybox link would write through it, into busybox itself.
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target)

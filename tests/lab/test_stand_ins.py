"""The lab's media, built with real tools from a Debian repository of tiny packages, and published whole."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from netboot.errors import LabError
from netboot.lab.media.stand_ins import MEDIUM, RELEASE, build_media

VERSION = "6.1.0-99-cloud-amd64"
MODULES = (
    *("virtio_pci", "virtio_net", "bonding", "virtio_blk", "virtio_scsi", "sd_mod", "loop", "squashfs", "overlay"),
    *("xfs", "vfat", "nls_ascii", "nls_cp437", "efivarfs"),
)
UNPACKED = {
    "ostree-boot": "usr/lib/ostree/ostree-prepare-root",
    "iputils-arping": "usr/bin/arping",
    "chrony": "usr/sbin/chronyd",
}
APT_CONF = """\
Dir::State "{0}/state";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Acquire::Languages "none";
"""


def add_package(repository: Path, name: str, *, depends: str = "", files: dict[str, bytes] | None = None) -> None:
    """Build one package and add it to the index."""
    tree = repository / f"tree-{name}"
    for path, content in (files or {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
        (tree / path).chmod(0o755)
    control = f"Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: test <test@example.com>\n"
    control += f"Depends: {depends}\n" if depends else ""
    control += "Description: made by a test\n"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(control)
    archive = repository / f"{name}_1_amd64.deb"
    subprocess.run(["dpkg-deb", "--build", str(tree), str(archive)], check=True, capture_output=True)
    shutil.rmtree(tree)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    with (repository / "Packages").open("a") as index:
        index.write(f"{control}Filename: ./{archive.name}\nSize: {archive.stat().st_size}\nSHA256: {digest}\n\n")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty repository the only one that apt reads, and an empty cache the lab's."""
    repository = tmp_path / "repository"
    for directory in (repository, tmp_path / "state/lists/partial", tmp_path / "cache/archives/partial"):
        directory.mkdir(parents=True)
    (repository / "Packages").touch()
    (tmp_path / "status").touch()
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    (tmp_path / "apt.conf").write_text(APT_CONF.format(tmp_path))
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("NETBOOT_LAB_CACHE", str(tmp_path / "lab"))
    return repository


def add_kernel(repository: Path) -> None:
    modules = {f"lib/modules/{VERSION}/kernel/{name}.ko": b"" for name in MODULES}
    add_package(repository, "linux-image-cloud-amd64", depends=f"linux-image-{VERSION}")
    add_package(repository, f"linux-image-{VERSION}", files={f"boot/vmlinuz-{VERSION}": b"kernel", **modules})


def update_lists() -> None:
    subprocess.run(["apt-get", "-o", "APT::Sandbox::User=root", "-qq", "update"], check=True)


def names_in_initrd(image: Path) -> set[str]:
    archive = subprocess.run(["zstd", "-dc", str(image)], check=True, capture_output=True).stdout
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=archive, check=True, capture_output=True).stdout
    return set(listed.decode().split())


def test_the_media_are_built_once_and_hold_what_the_machines_run(repository: Path):
    add_kernel(repository)
    for name, program in UNPACKED.items():
        add_package(repository, name, files={program: Path("/bin/busybox").read_bytes()})
    update_lists()
    lines: list[str] = []

    content = build_media(lines.append)

    medium, release = content / "media" / MEDIUM, content / "ostree" / RELEASE
    assert [line.partition(" (")[0] for line in lines[:2]] == [
        "lab media: fetching Debian's cloud kernel",
        f"lab media: kernel {VERSION}; building the installer",
    ]
    assert (medium / "vmlinuz").read_bytes() == b"kernel"
    assert names_in_initrd(medium / "initrd.img") >= {"init", "usr/bin/curl", "usr/lib/netboot/modules/virtio_net.ko"}
    stage2 = subprocess.run(["unsquashfs", "-l", str(medium / "images/install.img")], check=True, capture_output=True)
    listed = stage2.stdout.decode().splitlines()
    assert {"usr/libexec/netboot/kickstart.sh", "usr/bin/arping", "usr/bin/chronyd"} <= {
        each.removeprefix("squashfs-root/") for each in listed
    }
    tree = subprocess.run(
        ["ostree", f"--repo={release}", "ls", "ock", "/usr/sbin/init", f"/usr/lib/modules/{VERSION}/initramfs.img"],
        check=True,
        capture_output=True,
    )
    assert tree.stdout.count(b"-00") == 2

    lines.clear()
    assert (build_media(lines.append), lines) == (content, [])
    assert list(content.parent.iterdir()) == [content]


def test_a_build_that_fails_gives_the_cure_and_publishes_nothing(repository: Path, tmp_path: Path):
    update_lists()  # of a repository without a kernel

    with pytest.raises(LabError, match="apt knows no linux-image-cloud-amd64; run `apt-get update`"):
        build_media(lambda _line: None)

    assert list((tmp_path / "lab/media").iterdir()) == []

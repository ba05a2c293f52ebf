"""What is copied into a root."""

from pathlib import Path

import pytest

from netboot.errors import LabError
from netboot.lab.lab import require_lab_packages
from netboot.lab.media.kernel import image_package
from netboot.lab.media.roots import add_program, parse_ldd, run

LDD = """\
\tlinux-vdso.so.1 (0x00007ffd)
\tlibcurl.so.4 => /lib/x86_64-linux-gnu/libcurl.so.4 (0x00007f01)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f02)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f03)
"""


def test_ldd_names_libraries_and_the_loader_but_not_the_kernels_own():
    assert parse_ldd(LDD) == (
        Path("/lib/x86_64-linux-gnu/libcurl.so.4"),
        Path("/lib/x86_64-linux-gnu/libc.so.6"),
        Path("/lib64/ld-linux-x86-64.so.2"),
    )
    assert parse_ldd("\tnot a dynamic executable\n") == ()


def test_a_program_replaces_busyboxs_link_and_leaves_busybox_alone(tmp_path):
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/busybox").write_bytes(b"busybox")
    (tmp_path / "usr/bin/true").symlink_to("busybox")

    add_program(tmp_path, "true")

    assert (tmp_path / "usr/bin/busybox").read_bytes() == b"busybox"
    assert (tmp_path / "usr/bin/true").read_bytes() == Path("/bin/true").read_bytes()


def test_a_missing_program_is_named_with_the_cure():
    with pytest.raises(LabError, match="no program netboot-has-none; install its package"):
        run("netboot-has-none")


def test_a_failing_program_is_quoted():
    with pytest.raises(LabError, match="sh ended with 3: no room"):
        run("sh", "-c", "echo no room >&2; exit 3")


def test_the_real_kernel_package_is_found_behind_the_meta_package():
    shown = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n"

    assert image_package(shown) == "linux-image-6.1.0-56-cloud-amd64"


def test_an_apt_that_knows_no_kernel_says_what_to_do():
    with pytest.raises(LabError, match="apt-get update"):
        image_package("")


def test_missing_packages_are_named_in_one_command(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)

    with pytest.raises(LabError, match="apt-get install --no-install-recommends first second"):
        require_lab_packages({"first": "/nowhere/1", "there": "/", "second": "/nowhere/2"})

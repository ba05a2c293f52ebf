"""Which boot files are served, under which names, and which loader is for which CPU."""

import struct

import pytest

from netboot.content.bootfiles.directories import BootFile, BootFiles, boot_file_name, loader_cpu
from netboot.errors import ContentError
from netboot.model.boot.boot_client import Arch, BootProtocol, Cpu
from netboot.model.boot.loader_names import LOADER_NAMES, recommended_names

PXE, HTTP = BootProtocol.PXE, BootProtocol.HTTP
MACHINES = {
    0x8664: Cpu.X64, 0xAA64: Cpu.ARM64, 0x014C: Cpu.IA32, 0x01C0: Cpu.ARM32, 0x01C2: Cpu.ARM32, 0x01C4: Cpu.ARM32,
    0x5064: Cpu.RISCV64, 0x6264: Cpu.LOONGARCH64,
}  # fmt: skip


def pe_image(machine):
    return b"MZ" + bytes(0x3A) + struct.pack("<I", 0x80) + bytes(0x40) + b"PE\0\0" + struct.pack("<H", machine)


X64, ARM64, IA32 = pe_image(0x8664), pe_image(0xAA64), pe_image(0x014C)


@pytest.fixture
def tree(tmp_path):
    """Make directories from {path: content}; a Path as content makes a link to it."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.symlink_to(content)
        return tmp_path

    return make


def names(bootfiles):
    return {file.name for file in bootfiles}


class TestWhatIsServed:
    def test_every_regular_file_below_the_directories(self, tree):
        root = tree({"ipxe/snponly.efi": b"abc", "ipxe/arm64-efi/snponly.efi": b"abcd", "grub/grubx64.efi": b""})

        bootfiles = BootFiles([root / "ipxe", root / "grub"])

        assert set(bootfiles) == {
            BootFile(root / "ipxe/snponly.efi", 3, "snponly.efi"),
            BootFile(root / "ipxe/arm64-efi/snponly.efi", 4, "arm64-efi/snponly.efi"),
            BootFile(root / "grub/grubx64.efi", 0, "grubx64.efi"),
        }

    def test_nothing_hidden(self, tree):
        root = tree({"a/.secret": b"", "a/.ssh/id_rsa": b"", "a/seen": b"", "a/link": "../a/.secret"})

        assert names(BootFiles([root / "a"])) == {"seen"}

    def test_a_link_only_to_a_file_below_one_of_the_directories(self, tree):
        root = tree({"boot/ipxe.efi": X64, "a/one": b"1", "b/two": b"22"})
        tree({
            "a/ipxe.efi": root / "boot/ipxe.efi",  # as in Debian's package
            "a/to-b": "../b/two",
            "a/dangling": "nowhere",
            "a/circle": "circle",
            "a/folder": root / "boot",
        })  # fmt: skip

        bootfiles = BootFiles([root / "a", root / "b"])

        assert names(bootfiles) == {"one", "two", "to-b"}
        assert bootfiles.find("to-b") == BootFile(root / "b/two", 2, "to-b")

    def test_no_pipe_and_no_device(self, tree):
        import os

        root = tree({"a/one": b""})
        os.mkfifo(root / "a/pipe")

        assert names(BootFiles([root / "a"])) == {"one"}

    def test_the_first_directory_that_has_a_name(self, tree):
        root = tree({"a/snponly.efi": b"first", "b/snponly.efi": b"second!"})

        assert BootFiles([root / "a", root / "b"]).find("snponly.efi").path == root / "a/snponly.efi"
        assert BootFiles([root / "b", root / "a"]).find("snponly.efi").path == root / "b/snponly.efi"

    def test_a_directory_that_is_not_there_has_no_files(self, tree):
        root = tree({"a/one": b""})

        assert names(BootFiles([root / "missing", root / "a"])) == {"one"}

    def test_a_directory_that_is_a_link_is_served(self, tree):
        root = tree({"real/one": b"", "a": "real"})

        assert BootFiles([root / "a"]).find("one") == BootFile(root / "real/one", 0, "one")


class TestNames:
    @pytest.mark.parametrize(
        ("requested", "expected"),
        [
            ("snponly.efi", "snponly.efi"),
            ("/snponly.efi", "snponly.efi"),
            ("///snponly.efi", "snponly.efi"),
            ("\\arm64-efi\\snponly.efi", "arm64-efi/snponly.efi"),
            ("./arm64-efi//./snponly.efi", "arm64-efi/snponly.efi"),
            ("%2e%2e/passwd", "%2e%2e/passwd"),
            ("a..b/...", "a..b/..."),
            ("/", ""),
        ],
    )
    def test_are_normalised(self, requested, expected):
        assert boot_file_name(requested) == expected

    @pytest.mark.parametrize(
        "requested",
        ["../etc/passwd", "a/../b", "..", "\\..\\x", "C:\\x", "c:x", "/C:/x", "a\nb", "a\x00b", "\x7f", "a\tb"],
    )
    def test_that_point_elsewhere_are_refused(self, requested):
        with pytest.raises(ContentError, match="request a name"):
            boot_file_name(requested)

    @pytest.mark.parametrize(
        ("requested", "found"),
        [
            ("snponly.efi", "snponly.efi"),
            ("SNPONLY.EFI", "snponly.efi"),
            ("/ARM64-efi\\Snponly.efi", "arm64-efi/snponly.efi"),
            ("Both.efi", "Both.efi"),
            ("both.efi", "both.efi"),
            ("BOTH.efi", None),
            ("../a/snponly.efi", None),
            ("", None),
            ("/", None),
            ("arm64-efi", None),
            ("\udcff.efi", None),
        ],
    )
    def test_are_found_in_this_case_or_in_another_if_only_one_has_it(self, tree, requested, found):
        root = tree({"a/snponly.efi": b"", "a/arm64-efi/snponly.efi": b"", "a/Both.efi": b"", "a/both.efi": b""})

        file = BootFiles([root / "a"]).find(requested)

        assert (file.name if file else None) == found


class TestLoaders:
    @pytest.mark.parametrize(("machine", "cpu"), MACHINES.items())
    def test_the_cpu_of_a_pe_image_is_read(self, tree, machine, cpu):
        assert loader_cpu(tree({"x.efi": pe_image(machine)}) / "x.efi") is cpu

    @pytest.mark.parametrize("content", [b"", b"MZ", b"MZ" + bytes(100), b"\x7fELF", pe_image(0x9999), X64[:-2]])
    def test_any_other_file_has_no_cpu(self, tree, content):
        assert loader_cpu(tree({"x": content}) / "x") is None

    def test_a_missing_file_has_no_cpu(self, tmp_path):
        assert loader_cpu(tmp_path / "x") is None

    def test_are_the_first_names_that_are_there_and_built_for_the_cpu(self, tree):
        root = tree({
            "a/ipxe.efi": X64,
            "a/snponly.efi": ARM64,  # the wrong file of that name
            "a/arm64-efi/snponly.efi": ARM64,
            "a/ipxe-ia32.efi": IA32,
            "a/ipxe.pxe": b"a BIOS loader",
        })  # fmt: skip

        assert BootFiles([root / "a"]).loaders() == {
            (PXE, Cpu.X86_BIOS): "ipxe.pxe",
            (PXE, Cpu.IA32): "ipxe-ia32.efi",
            (PXE, Cpu.X64): "ipxe.efi",
            (PXE, Cpu.ARM64): "arm64-efi/snponly.efi",
            (HTTP, Cpu.IA32): "ipxe-ia32.efi",
            (HTTP, Cpu.X64): "ipxe.efi",
            (HTTP, Cpu.ARM64): "arm64-efi/snponly.efi",
        }

    def test_a_uefi_image_under_a_bios_name_is_not_offered_to_a_bios(self, tree):
        assert BootFiles([tree({"a/undionly.kpxe": X64}) / "a"]).loaders() == {}

    def test_the_loader_of_one_architecture_has_a_name(self, tree):
        bootfiles = BootFiles([tree({"a/snponly.efi": X64}) / "a"])

        assert bootfiles.loader(PXE, Arch.X64_UEFI_9) == "snponly.efi"

    def test_the_error_for_a_missing_loader_names_the_package(self, tree):
        root = tree({"a/snponly.efi": X64})

        with pytest.raises(ContentError) as error:
            BootFiles([root / "a"]).loader(PXE, Arch.ARM64_UEFI)

        assert str(error.value) == (
            f"no loader for arm64 (option 93 = 11): none of {root}/a has snponly-arm64.efi or ipxe-arm64.efi; install "
            "ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as snponly-arm64.efi"
        )

    def test_a_loader_of_the_wrong_cpu_is_named(self, tree):
        root = tree({"a/snponly.efi": ARM64})

        with pytest.raises(ContentError) as error:
            BootFiles([root / "a"]).loader(HTTP, Arch.X64_UEFI_HTTP)

        assert str(error.value) == (
            f"no loader for x64 (option 93 = 16): {root}/a/snponly.efi is for arm64; "
            "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)"
        )

    @pytest.mark.parametrize(
        ("protocol", "arch", "message"),
        [
            (
                PXE,
                Arch.RISCV64_UEFI,
                "no loader for riscv64 (option 93 = 27): none of {a} has snponly-riscv64.efi or ipxe-riscv64.efi; "
                "put one there as snponly-riscv64.efi, or name one with bootfiles.loaders",
            ),
            (
                PXE,
                2,
                "no loader for architecture 2 (option 93); choose another network boot in its firmware, or give it a "
                "loader: bootfiles.loaders: {{arch: 2, loader: FILE}}",
            ),
            (
                HTTP,
                Arch.X86_BIOS,
                "no loader for x86-bios (option 93 = 0); choose another network boot in its firmware, or give it a "
                "loader: bootfiles.loaders: {{arch: 0, loader: FILE}}",
            ),
        ],
    )
    def test_the_error_for_an_architecture_without_a_package_has_the_cure(self, tree, protocol, arch, message):
        root = tree({"a/undionly.kpxe": b"x"})

        with pytest.raises(ContentError) as error:
            BootFiles([root / "a"]).loader(protocol, arch)

        assert str(error.value) == message.format(a=root / "a")


# The files of each distribution's packages as they lie below bootfiles.directories, and what each CPU gets, in order.
DISTRIBUTIONS = {
    "debian-12": (
        {"snponly.efi": X64, "undionly.kpxe": b"1", "undionly.kkpxe": b"2", "ipxe.pxe": b"3", "ipxe.lkrn": b"4"},
        {Cpu.X86_BIOS: ("undionly.kpxe", "ipxe.pxe", "undionly.kkpxe"), Cpu.X64: ("snponly.efi",)},
    ),
    "ubuntu-24.04": (
        {"snponly.efi": X64, "ipxe.efi": X64, "ipxe-arm64.efi": ARM64, "undionly.kpxe": b"1"},
        {
            Cpu.X86_BIOS: ("undionly.kpxe",),
            Cpu.X64: ("snponly.efi", "ipxe.efi"),
            Cpu.ARM64: ("ipxe-arm64.efi",),
        },
    ),
    "enterprise-linux-8-to-10": (
        {
            "ipxe-snponly-x86_64.efi": X64,
            "ipxe-x86_64.efi": X64,
            "ipxe-i386.efi": IA32,
            "undionly.kpxe": b"1",
            "arm64-efi/snponly.efi": ARM64,
            "ipxe.lkrn": b"2",
        },
        {
            Cpu.X86_BIOS: ("undionly.kpxe",),
            Cpu.IA32: ("ipxe-i386.efi",),
            Cpu.X64: ("ipxe-snponly-x86_64.efi", "ipxe-x86_64.efi"),
            Cpu.ARM64: ("arm64-efi/snponly.efi",),
        },
    ),
    "fedora-with-snponly-for-i386": (
        {"ipxe-snponly-i386.efi": IA32, "ipxe-i386.efi": IA32}
        | {"arm64-efi/ipxe.efi": ARM64, "arm64-efi/snponly.efi": ARM64},
        {
            Cpu.IA32: ("ipxe-snponly-i386.efi", "ipxe-i386.efi"),
            Cpu.ARM64: ("arm64-efi/snponly.efi", "arm64-efi/ipxe.efi"),
        },
    ),
    "suse": (
        {
            "ipxe-x86_64.efi": X64,
            "snp-x86_64.efi": X64,
            "snponly-x86_64.efi": X64,
            "ipxe-i386.efi": IA32,
            "snp-arm64.efi": ARM64,
            "ipxe-arm64.efi": ARM64,
            "undionly.kpxe": b"1",
        },
        {
            Cpu.X86_BIOS: ("undionly.kpxe",),
            Cpu.IA32: ("ipxe-i386.efi",),
            Cpu.X64: ("snponly-x86_64.efi", "snp-x86_64.efi", "ipxe-x86_64.efi"),
            Cpu.ARM64: ("snp-arm64.efi", "ipxe-arm64.efi"),
        },
    ),
    "arch": (
        {"x86_64/ipxe.efi": X64, "x86_64/snponly.efi": X64, "i386/ipxe.efi": IA32}
        | {"undionly.kpxe": b"1", "ipxe.pxe": b"2"},
        {
            Cpu.X86_BIOS: ("undionly.kpxe", "ipxe.pxe"),
            Cpu.IA32: ("i386/ipxe.efi",),
            Cpu.X64: ("x86_64/snponly.efi", "x86_64/ipxe.efi"),
        },
    ),
    "ipxe.org": (
        {
            "undionly.kpxe": b"1",
            "ipxe.efi": X64,
            "x86_64-efi/ipxe.efi": X64,
            "x86_64-efi/snponly.efi": X64,
            "i386-efi/snponly.efi": IA32,
            "arm64-efi/ipxe.efi": ARM64,
            "arm64-efi/snponly.efi": ARM64,
        },
        {
            Cpu.X86_BIOS: ("undionly.kpxe",),
            Cpu.IA32: ("i386-efi/snponly.efi",),
            Cpu.X64: ("x86_64-efi/snponly.efi", "ipxe.efi", "x86_64-efi/ipxe.efi"),
            Cpu.ARM64: ("arm64-efi/snponly.efi", "arm64-efi/ipxe.efi"),
        },
    ),
    "built-by-hand": (
        {"bin/undionly.kpxe": b"1", "bin-x86_64-efi/ipxe.efi": X64, "bin-x86_64-efi/snponly.efi": X64,
         "bin-arm64-efi-snponly.efi": ARM64},
        {
            Cpu.X86_BIOS: ("bin/undionly.kpxe",),
            Cpu.X64: ("bin-x86_64-efi/snponly.efi", "bin-x86_64-efi/ipxe.efi"),
            Cpu.ARM64: ("bin-arm64-efi-snponly.efi",),
        },
    ),
    "for-one-cpu-alone": ({"snponly.efi": ARM64, "ipxe.efi": ARM64}, {Cpu.ARM64: ("snponly.efi", "ipxe.efi")}),
    "a-name-that-lies": ({"ipxe-snponly-x86_64.efi": IA32, "ipxe-x86_64.efi": X64}, {Cpu.X64: ("ipxe-x86_64.efi",)}),
}  # fmt: skip


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_each_cpu_gets_the_loaders_of_a_distribution_in_order(tree, distribution):
    files, expected = DISTRIBUTIONS[distribution]
    root = tree({f"boot/{name}": content for name, content in files.items()})

    bootfiles = BootFiles([root / "boot"])

    found = {key: (name, *bootfiles.other_loaders()[key]) for key, name in bootfiles.loaders().items()}
    assert {cpu: names for (protocol, cpu), names in found.items() if protocol is PXE} == expected
    assert {cpu: names for (protocol, cpu), names in found.items() if protocol is HTTP} == {
        cpu: names for cpu, names in expected.items() if cpu is not Cpu.X86_BIOS
    }


def test_a_file_that_has_two_names_is_tried_once(tree):
    root = tree({"ipxe/arm64-efi/snponly.efi": ARM64, "ipxe/snponly-arm64.efi": "arm64-efi/snponly.efi"})

    bootfiles = BootFiles([root / "ipxe", root / "ipxe/arm64-efi"])

    assert bootfiles.other_loaders()[PXE, Cpu.ARM64] == ()


@pytest.mark.parametrize("cpu", Cpu)
def test_in_every_naming_the_firmware_s_driver_comes_before_a_build_with_its_own(cpu):
    builds = ["snponly", "snp", "ipxe"]
    names = LOADER_NAMES[cpu]
    if cpu is Cpu.X86_BIOS:
        assert names[0] == "undionly.kpxe"
        return
    order = [next(build for build in builds if build in name) for name in names]

    assert order == sorted(order, key=builds.index)
    assert len(set(names)) == len(names)
    assert set(recommended_names(cpu)) <= set(names)


def test_a_directory_that_is_a_link_to_itself_has_no_files(tmp_path):
    (tmp_path / "circle").symlink_to("circle")

    assert list(BootFiles([tmp_path / "circle"])) == []

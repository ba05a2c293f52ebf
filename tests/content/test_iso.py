"""Media in the layouts of Oracle Linux 8, 9 and 10, made by xorriso and genisoimage, imported and refused."""

import gzip
import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.installer import arm64_image, bzimage, efi, initrd, squashfs, zboot

from netboot.content.imports.iso import ImportedMedium, import_iso
from netboot.content.imports.verify import repair, verify
from netboot.content.library.library import Library
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.library.record import Record
from netboot.content.media.boot_media import check_medium
from netboot.content.media.iso_image import IsoImage, read_checksums, read_volume
from netboot.errors import ContentError
from netboot.model.release import EntryKind

NOW = datetime(2026, 11, 21, tzinfo=UTC)
UEK8 = "5.15.0-206.153.7.el8uek.x86_64"


X64_LOADERS = {f"EFI/BOOT/{name}": bytes(efi(0x8664)) for name in ("BOOTX64.EFI", "grubx64.efi", "mmx64.efi")}
ARM_LOADERS = {f"EFI/BOOT/{name}": bytes(efi(0xAA64)) for name in ("BOOTAA64.EFI", "grubaa64.efi")}


def installer(kernel: bytes, ramdisk: bytes) -> dict[str, bytes]:
    return {
        "images/pxeboot/vmlinuz": kernel,
        "images/pxeboot/initrd.img": ramdisk,
        "images/install.img": squashfs(),
    }


def el8(release: str = UEK8, *, modules: str = UEK8) -> dict[str, bytes]:
    """Oracle Linux 8: neither .treeinfo nor .discinfo."""
    return installer(bzimage(release), initrd(modules)) | X64_LOADERS


EL9_ARM = "5.15.0-3.60.5.1.el9uek.aarch64"
EL9 = installer(zboot(EL9_ARM), initrd(EL9_ARM, pack="gzip", early=False)) | ARM_LOADERS
EL10 = installer(bzimage("6.12.0-55.9.1.el10_0.x86_64"), initrd("6.12.0-55.9.1.el10_0.x86_64")) | X64_LOADERS
FULL_TREEINFO = (
    b"[general]\nfamily = Oracle Linux Server\nversion = 8.10\narch = x86_64\n"
    b"[stage2]\nmainimage = images/install.img\n"
)


def make_iso(directory: Path, files: Mapping[str, bytes], *, volume: str, program: str = "xorriso") -> Path:
    """Write an ISO by another program: Rock Ridge by xorriso, UDF or plain ISO 9660 by genisoimage."""
    tree = directory / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name, data in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    iso = directory / "download.iso"
    iso.unlink(missing_ok=True)
    ways = {
        "xorriso": ["xorriso", "-as", "mkisofs", "-R", "-J"],
        "udf": ["genisoimage", "-udf", "-allow-limited-size", "-quiet"],
        "plain": ["genisoimage", "-quiet", "-iso-level", "3"],
    }
    command = [*ways[program], "-V", volume, "-o", str(iso), str(tree)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return iso


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "content")


def names_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_a_medium_without_treeinfo_is_identified_by_volume_and_kernel(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")

    imported = import_iso(library, iso, now=NOW)

    root = library.directory / "media" / "ol8u10-x86_64"
    files = (".treeinfo", *sorted(X64_LOADERS), "images/install.img", "initrd.img", "vmlinuz")
    assert imported == ImportedMedium(
        name="ol8u10-x86_64",
        is_new=True,
        description="Oracle Linux 8.10 x86_64 boot-uek",
        kernel=UEK8,
        size_bytes=imported.size_bytes,
        files=files,
        notes=("its download was not verified: it contains no checksum; pass the published one with --checksum",),
        source_digest=f"sha256:{hashlib.sha256(iso.read_bytes()).hexdigest()}",
    )
    assert names_below(root) == sorted([*files, ".netboot.json"])
    check_medium(library.directory, "ol8u10-x86_64")
    assert (root / "vmlinuz").read_bytes() == bzimage(UEK8)
    assert (root / ".treeinfo").read_text() == (
        "[general]\nfamily = Oracle Linux\nversion = 8.10\nname = Oracle Linux 8.10\narch = x86_64\n"
        "\n[stage2]\nmainimage = images/install.img\n\n[images-x86_64]\nkernel = vmlinuz\ninitrd = initrd.img\n"
    )


@pytest.mark.parametrize(
    ("files", "volume", "name", "description"),
    [
        pytest.param(
            EL9, "OL-9-5-0-BaseOS-aarch64", "ol9u5-aarch64", "Oracle Linux 9.5 aarch64 boot-uek", id="el9-arm"
        ),
        pytest.param(
            EL9 | {".discinfo": b"1700000000.0\nOracle Linux 9.5\naarch64\n"},
            "CDROM",
            "ol9u5-aarch64",
            "Oracle Linux 9.5 aarch64 boot-uek",
            id="el9-arm-by-discinfo",
        ),
        pytest.param(EL10, "OL-10-0-0-BaseOS-x86_64", "ol10u0-x86_64", "Oracle Linux 10.0 x86_64 boot", id="el10-rhck"),
        pytest.param(
            el8() | {".treeinfo": FULL_TREEINFO, "BaseOS/repodata/repomd.xml": b"<repomd/>"},
            "OL-8-10-0-BaseOS-x86_64",
            "ol8u10-x86_64",
            "Oracle Linux 8.10 x86_64 full",
            id="el8-full",
        ),
        pytest.param(
            installer(gzip.compress(arm64_image("5.15.0-1.el8uek.aarch64")), b"unknown") | ARM_LOADERS,
            "OL-8-9-0-BaseOS-aarch64",
            "ol8u9-aarch64",
            "Oracle Linux 8.9 aarch64 boot-uek",
            id="el8-arm-gzip",
        ),
    ],
)
def test_media_are_identified_by_their_content(
    tmp_path: Path, library: Library, files: Mapping[str, bytes], volume: str, name: str, description: str
) -> None:
    imported = import_iso(library, make_iso(tmp_path, files, volume=volume), now=NOW)

    assert (imported.name, imported.description) == (name, description)


@pytest.mark.parametrize("program", ["udf", "plain"])
def test_an_iso_without_rock_ridge_is_read(tmp_path: Path, library: Library, program: str) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64", program=program)

    imported = import_iso(library, iso, now=NOW)

    root = library.directory / "media" / imported.name
    assert (root / "initrd.img").read_bytes() == initrd(UEK8)
    assert (root / "EFI/BOOT/grubx64.efi").is_file()


def test_its_own_treeinfo_is_kept_byte_for_byte(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8() | {".treeinfo": FULL_TREEINFO}, volume="OL-8-10-0-BaseOS-x86_64")

    imported = import_iso(library, iso, now=NOW)

    assert (library.directory / "media" / imported.name / ".treeinfo").read_bytes() == FULL_TREEINFO


def test_the_daemon_may_read_a_medium_whatever_the_umask(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    umask = os.umask(0o077)
    try:
        name = import_iso(library, iso, now=NOW).name
    finally:
        os.umask(umask)

    paths = list((library.directory / "media" / name).rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o755}


def test_the_same_iso_again_does_nothing(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    first = import_iso(library, iso, now=NOW)
    inode = (library.directory / "media" / first.name).stat().st_ino

    again = import_iso(library, iso, now=NOW)

    assert again.is_new is False
    assert (library.directory / "media" / first.name).stat().st_ino == inode
    assert [entry.name for entry in library.entries()] == ["ol8u10-x86_64"]


def test_the_next_import_goes_on_from_what_a_killed_one_had_copied(tmp_path: Path, library: Library) -> None:
    files = el8()
    killed = library.directory / ".staging" / "1234-killed" / "medium"
    (killed / "images").mkdir(parents=True)
    (killed / "vmlinuz").write_bytes(files["images/pxeboot/vmlinuz"])
    (killed / "initrd.img").write_bytes(files["images/pxeboot/initrd.img"][:-100])
    (killed / "images" / "install.img").write_bytes(bytes(1 << 20))  # torn, and longer than the real one
    (killed / "left-over").write_bytes(b"of another ISO")
    inode = (killed / "vmlinuz").stat().st_ino

    imported = import_iso(library, make_iso(tmp_path, files, volume="OL-8-10-0-BaseOS-x86_64"), now=NOW)

    root = library.directory / "media" / imported.name
    assert names_below(root) == sorted([*imported.files, ".netboot.json"])
    (entry,) = library.entries()
    assert verify(entry).is_sound
    assert (root / "initrd.img").read_bytes() == files["images/pxeboot/initrd.img"]
    assert (root / "images" / "install.img").read_bytes() == files["images/install.img"]
    assert (root / "vmlinuz").stat().st_ino == inode
    assert list((library.directory / ".staging").iterdir()) == []


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_hard_link_left_by_a_killed_import_is_never_written_to(
    tmp_path: Path, library: Library, link: Callable[[Path, Path], None]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"of another medium")
    killed = library.directory / ".staging" / "1234-killed" / "medium"
    killed.mkdir(parents=True)
    link(theirs, killed / "vmlinuz")

    import_iso(library, make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64"), now=NOW)

    assert theirs.read_bytes() == b"of another medium"
    (entry,) = library.entries()
    assert verify(entry).is_sound
    assert not (entry.path / "vmlinuz").is_symlink()


def test_an_implanted_checksum_with_a_negative_length_does_not_match(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    read: list[int] = []

    class Count(Progress):
        def advance(self, size_bytes: int) -> None:
            read.append(size_bytes)

    with iso.open("r+b") as file:
        file.seek(16 * 2048 + 883)
        file.write(b"ISO MD5SUM = " + b"0" * 32 + b";SKIPSECTORS = 999999999;")

    assert read_checksums(iso, read_volume(iso), Count()).fits_implanted is False
    assert sum(read) == iso.stat().st_size


def test_another_iso_under_the_same_name_is_refused(tmp_path: Path, library: Library) -> None:
    import_iso(library, make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64"), now=NOW)
    other = "4.18.0-553.el8_10.x86_64"
    iso = make_iso(tmp_path, el8(other, modules=other), volume="OL-8-10-0-BaseOS-x86_64")

    with pytest.raises(ContentError, match=r"ol8u10-x86_64 exists already and differs .*; a medium never changes"):
        import_iso(library, iso, now=NOW)

    assert import_iso(library, iso, "ol8u10-rhck", now=NOW).description == "Oracle Linux 8.10 x86_64 boot"


def test_a_published_checksum_verifies_the_download(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    checksum = hashlib.sha256(iso.read_bytes()).hexdigest()

    with pytest.raises(
        ContentError, match=rf"has the checksum sha256:{checksum}, not the given one; download it again"
    ):
        import_iso(library, iso, now=NOW, checksum="sha256:" + "0" * 64)
    assert import_iso(library, iso, now=NOW, checksum=f"sha256:{checksum}").notes == ()
    with pytest.raises(ContentError, match="is not a checksum"):
        import_iso(library, iso, now=NOW, checksum="md5:12")


def test_the_checksum_that_is_implanted_in_an_iso_is_compared(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    subprocess.run(["implantisomd5", str(iso)], check=True, capture_output=True, timeout=60)

    assert import_iso(library, iso, "whole", now=NOW).notes == ()

    data = bytearray(iso.read_bytes())
    at = data.index(squashfs())
    data[at + 3000] ^= 1
    iso.write_bytes(data)
    with pytest.raises(ContentError, match="is damaged: the checksum that is implanted in it differs"):
        import_iso(library, iso, "damaged", now=NOW)


@pytest.mark.parametrize(
    ("files", "volume", "message"),
    [
        pytest.param(
            el8(modules="4.18.0-553.el8_10.x86_64"),
            "OL-8-10-0-BaseOS-x86_64",
            rf"kernel and initrd do not belong together: the kernel is {UEK8}, "
            r"the initrd has the modules of 4\.18\.0-553\.el8_10\.x86_64; use both from one ISO",
            id="foreign-initrd",
        ),
        pytest.param(
            {name: data for name, data in el8().items() if name != "images/install.img"},
            "OL-8-10-0-BaseOS-x86_64",
            r"has no images/install\.img: it is not an installer medium; use the UEK boot ISO",
            id="no-stage2",
        ),
        pytest.param(
            {"readme": b"hello"}, "DATA", r"\(DATA\) has no vmlinuz and no initrd\.img and no", id="no-medium"
        ),
        pytest.param(
            el8() | {"images/install.img": squashfs(8192)[:4096]},
            "OL-8-10-0-BaseOS-x86_64",
            r"install\.img is cut off: 4096 bytes of 8192; download it again",
            id="short-stage2",
        ),
        pytest.param(
            el8() | {"images/install.img": b"ext4" * 99},
            "OL-8-10-0-BaseOS-x86_64",
            "is not a squashfs",
            id="no-squashfs",
        ),
        pytest.param(
            el8() | {"images/pxeboot/vmlinuz": b"?" * 99}, "OL-8-10-0-BaseOS-x86_64", "is not a kernel", id="no-kernel"
        ),
        pytest.param(
            el8() | {"EFI/BOOT/grubx64.efi": bytes(efi(0xAA64))},
            "OL-8-10-0-BaseOS-x86_64",
            r"EFI/BOOT/grubx64\.efi is not an EFI program for x86_64",
            id="foreign-grub",
        ),
        pytest.param(
            el8(),
            "OL-8-10-0-BaseOS-aarch64",
            "contradicts itself: its kernel has x86_64, its volume identifier has aarch64; download it again",
            id="contradiction",
        ),
        pytest.param(
            installer(bzimage("5.4.17-1.el7uek.x86_64"), b"?") | X64_LOADERS,
            "OL-7-9-0-Server-x86_64",
            "which cannot install OCK; take the UEK boot ISO of Oracle Linux 8 or 9",
            id="el7",
        ),
        pytest.param(
            installer(bzimage("6.1.0-13-amd64"), b"?"),
            "Debian 12",
            r"cannot identify the release of download\.iso \(volume 'Debian 12'\); choose a name: --name",
            id="no-name",
        ),
    ],
)
def test_an_incomplete_medium_is_refused_with_the_reason(
    tmp_path: Path, library: Library, files: Mapping[str, bytes], volume: str, message: str
) -> None:
    iso = make_iso(tmp_path, files, volume=volume)

    with pytest.raises(ContentError, match=message):
        import_iso(library, iso, now=NOW)

    assert library.entries() == []
    assert list((library.directory / ".staging").iterdir()) == []


def test_an_incomplete_download_is_refused(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    size = iso.stat().st_size
    with iso.open("r+b") as file:
        file.truncate(size - 100_000)

    with pytest.raises(ContentError, match=rf"is cut off: {size - 100_000} bytes of \d+; continue the download"):
        import_iso(library, iso, now=NOW)


def test_a_file_that_is_not_an_iso_is_refused(tmp_path: Path, library: Library) -> None:
    other = tmp_path / "x.iso"
    other.write_bytes(b"<html>404</html>")

    with pytest.raises(ContentError, match=r"is not an ISO 9660 image \(16 bytes\)"):
        import_iso(library, other, now=NOW)


def test_the_record_names_every_file_and_its_checksum(tmp_path: Path, library: Library) -> None:
    imported = import_iso(library, make_iso(tmp_path, EL10, volume="OL-10-0-0-BaseOS-x86_64"), now=NOW)

    entry = library.get(EntryKind.MEDIUM, imported.name)
    assert entry is not None
    record = entry.record
    assert isinstance(record, Record)
    assert record.imported_at == "2026-11-21T00:00:00+00:00"
    assert set(record.files) == set(imported.files)
    assert record.files["vmlinuz"] == hashlib.sha256(EL10["images/pxeboot/vmlinuz"]).hexdigest()


def test_bad_files_of_a_medium_are_repaired_from_its_iso(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    entry = library.find(import_iso(library, iso, now=NOW).name)
    (entry.path / "images" / "install.img").write_bytes(b"bad")
    (entry.path / "vmlinuz").unlink()
    (entry.path / ".treeinfo").write_text("")
    verdict = verify(entry)
    assert set(verdict.faults) == {"images/install.img", "vmlinuz", ".treeinfo"}

    with library.changing() as staging:
        repaired = repair(staging, entry, verdict, iso, progress=NO_PROGRESS)

    assert set(repaired) == set(verdict.faults)
    assert verify(entry).is_sound


def test_another_iso_repairs_no_file_that_differs(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    entry = library.find(import_iso(library, iso, now=NOW).name)
    (entry.path / "vmlinuz").unlink()
    other = make_iso(tmp_path, EL10, volume="OL-10-0-0-BaseOS-x86_64")

    with library.changing() as staging:
        assert repair(staging, entry, verify(entry), other, progress=NO_PROGRESS) == ()


@pytest.mark.parametrize("program", ["xorriso", "udf", "plain"])
def test_a_damaged_iso_is_imported_or_refused_in_one_sentence(tmp_path: Path, library: Library, program: str) -> None:
    whole = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64", program=program).read_bytes()
    iso = tmp_path / "damaged.iso"
    rng = random.Random(program)
    ends = [0, 2048 * 16, 2048 * 17 + 100, 2048 * 20, len(whole) // 3]
    refused: list[str] = []
    for number in range(60):
        data = bytearray(whole[: ends[number]] if number < len(ends) else whole)
        for _ in range(rng.choice((1, 4, 40))):
            if len(data) > 2048 * 16:
                data[rng.randrange(2048 * 16, min(len(data), 2048 * 60))] = rng.choice((0, 1, 0x7F, 0xFF, 0x80))
        if number % 3 == 0 and len(data) >= 2048 * 16 + 84:
            data[2048 * 16 + 80 : 2048 * 16 + 84] = bytes(4)  # no length limit, so that more is read
        iso.write_bytes(data)
        try:
            import_iso(library, iso, f"m{number}", now=NOW)
        except ContentError as error:
            refused.append(str(error))
    assert [message for message in refused if "\n" in message] == []
    assert list((library.directory / ".staging").iterdir()) == []


def test_the_source_digest_is_the_sha256_of_the_iso(tmp_path: Path, library: Library) -> None:
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")
    expected = f"sha256:{hashlib.sha256(iso.read_bytes()).hexdigest()}"

    done = import_iso(library, iso, now=NOW, checksum=f"sha512:{hashlib.sha512(iso.read_bytes()).hexdigest()}")

    entry = library.find("ol8u10-x86_64")
    assert entry.record is not None
    assert (done.source_digest, entry.record.source_digest) == (expected, expected)


def test_a_name_that_a_release_has_is_refused_for_a_medium(tmp_path: Path, library: Library) -> None:
    (library.directory / "ostree" / "ock").mkdir(parents=True)
    (library.directory / "ostree" / "stable").symlink_to("ock")
    iso = make_iso(tmp_path, el8(), volume="OL-8-10-0-BaseOS-x86_64")

    with pytest.raises(ContentError, match="ock is a release already; choose another name"):
        import_iso(library, iso, "ock", now=NOW)
    with pytest.raises(ContentError, match="stable is another name of the release ock already"):
        import_iso(library, iso, "stable", now=NOW)


def test_an_iso_with_a_name_twice_is_refused(tmp_path: Path, library: Library) -> None:
    kept = Path(__file__).parents[1] / "fuzz" / "corpus" / "iso" / "duplicate-name"  # found by fuzzing
    (tmp_path / "twice.iso").write_bytes(bytes(16 * 2048) + kept.read_bytes())

    with pytest.raises(ContentError, match=r"twice\.iso"):
        import_iso(library, tmp_path / "twice.iso", now=NOW)
    with pytest.raises(ContentError, match=r"cannot be read as an ISO: Failed adding duplicate name .*; download it"):
        IsoImage(tmp_path / "twice.iso").__enter__()

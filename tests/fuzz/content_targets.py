"""The fuzz targets of what is imported: ISO, kernel and initrd, tar and layers, the OSTree image, GVariant, manifests.

Each takes any bytes, and raises an error if a reader raises anything but ContentError, or violates a rule. Files are
written in memory. An image's documents name each other by checksums, which no mutation finds: `oci_image` adds them.
"""

import hashlib
import io
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from netboot.content.images.manifests import read_descriptors, read_json, read_manifest
from netboot.content.imports.iso import members_on
from netboot.content.imports.ostree_image.file_object import FileObject, check_xattrs
from netboot.content.imports.ostree_image.layer_objects import ImageObjects, LayerObjects
from netboot.content.media.boot_media import kernel_architecture, kernel_version, stage2_named
from netboot.content.media.installer_files import initrd_modules, kernel_release
from netboot.content.media.iso_image import IsoImage, implanted_checksum, read_volume
from netboot.content.media.medium_facts import treeinfo_values
from netboot.content.oci.bundle import tar_parts
from netboot.content.oci.image import read_images
from netboot.content.ostree.gvariant import array_elements, tuple_ends
from netboot.content.ostree.object_check import check_object
from netboot.content.ostree.repository import summary_refs
from netboot.content.tar_stream import ByteStream, TarMember, tar_members
from netboot.content.unpacking import UNPACK_ERRORS, unpacked
from netboot.errors import ContentError

DIRECTORY: Final = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm"))
MOST_UNPACKED: Final = 4 << 20  # of one input: bombs are cut, as the readers' callers cut them
HIDDEN_SECTORS: Final = 16 * 2048  # zeros before the descriptors of an ISO, which the corpus does not repeat
COMMIT: Final = hashlib.sha256(b"").hexdigest()
CUT: Final = b"\n--\n"


def _written(name: str, data: bytes) -> Path:
    path = DIRECTORY / name
    path.write_bytes(data)
    return path


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _check_reason(error: ContentError) -> None:
    """An operator reads it in a terminal."""
    assert str(error).isprintable(), repr(str(error))


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    left = MOST_UNPACKED
    for chunk in chunks:
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            return


def iso_image(data: bytes) -> None:
    """Any file as the ISO of a medium: its facts, names and content, or a reason; never beyond the file."""
    path = _written("medium.iso", bytes(HIDDEN_SECTORS) + data)
    try:
        volume = read_volume(path)
        implanted_checksum(volume)
        with IsoImage(path) as image:
            for name in (".treeinfo", "images/pxeboot/vmlinuz", "isolinux/vmlinuz", "images", "EFI/BOOT/grub.cfg"):
                size = image.size_of(name)
                read = image.read(name, 4096)
                assert len(read) <= min(max(size or 0, 0), 4096)
            members_on(image, volume)
    except ContentError as error:
        _check_reason(error)


def medium_files(data: bytes) -> None:
    """Any bytes as kernel, initrd and `.treeinfo` of a medium."""
    assert kernel_architecture(data) in (None, "x86_64", "aarch64", *_OTHER_MACHINES)
    assert len(kernel_version(data)) <= 128
    text = data.decode("utf-8", "replace")
    treeinfo_values(text)
    stage2_named(text)
    path = _written("kernel", data)
    kernel_release(path)
    for release in initrd_modules(path, "5.15.0-1.el8uek.x86_64"):
        assert "/" not in release


_OTHER_MACHINES: Final = ("arm", "i386", "riscv64", "loongarch64", "ia32", "arm32", "arm64")


def tar_stream(data: bytes) -> None:
    """Any bytes as a tar: the same members, or the same reason, in pieces of any size."""
    size = data[0] % 700 + 1 if data else 1
    assert _members(_pieces(data, len(data) or 1)) == _members(_pieces(data, size))
    try:
        tar_parts(_written("archive.tar", data), "make it again")
    except ContentError as error:
        _check_reason(error)


def _members(pieces: Iterator[bytes]) -> tuple[list[tuple[str, bytes, int]], str]:
    members: list[tuple[str, bytes, int]] = []
    stream = ByteStream(pieces)
    try:
        for member in tar_members(stream):
            members.append((member.name, member.kind, member.size_bytes))
            _read_owner(member)
            stream.skip(member.size_bytes)
        for _ in stream.rest():
            pass
    except ContentError as error:
        return members, str(error)
    return members, ""


def _read_owner(member: TarMember) -> None:
    for name in ("mode", "uid", "gid"):
        with suppress(ContentError):
            assert getattr(member, name) >= 0


class _Files:
    """Reads each file, and checks the header that its name hashes."""

    def put(self, found: FileObject, stream: ByteStream) -> None:
        digest = hashlib.sha256(found.hashed_header())
        for piece in stream.pieces(0 if found.is_link else found.size_bytes):
            digest.update(piece)
        found.stored_header()


def ostree_layer(data: bytes) -> None:
    """Any bytes, packed or not, as a layer of the OSTree image: objects below their directory alone, or a reason."""
    written: dict[str, bytes] = {}
    objects = ImageObjects(COMMIT, _Files(), written.__setitem__)
    try:
        LayerObjects(objects, "image", "image: layer 1").read(ByteStream(_bounded(unpacked(iter([data])))))
    except ContentError as error:
        _check_reason(error)
    except UNPACK_ERRORS:
        pass
    for name, content in written.items():
        assert re.fullmatch(r"objects/[0-9a-f]{2}/[0-9a-f]{62}\.(commit|commitmeta|dirtree|dirmeta)", name)
        if not name.endswith(".commitmeta"):
            assert hashlib.sha256(content).hexdigest() == name[8:10] + name[11:75]


def gvariant(data: bytes) -> None:
    """Any bytes as GVariant: elements inside their container, in order; as objects and summary of an archive."""
    for alignment in (1, 8):
        with suppress(ContentError):
            assert sum(map(len, array_elements(data, alignment))) <= len(data)
    for count in range(1, 6):
        with suppress(ContentError):
            ends = tuple_ends(data, count)
            assert ends == sorted(ends)
            assert len(ends) == count + 1
            assert 0 <= ends[0] <= ends[-1] <= len(data)
    with suppress(ContentError):
        check_xattrs(data)
    with suppress(ContentError):
        for ref, commit in summary_refs(data).items():
            assert re.fullmatch("[0-9a-f]{64}", commit), ref
    checksum = hashlib.sha256(data).hexdigest()
    for kind in ("commit", "dirtree", "dirmeta", "filez"):
        with suppress(ContentError):
            for name in check_object(f"{checksum}.{kind}", io.BytesIO(data)):
                assert re.fullmatch(r"[0-9a-f]{64}\.(commit|dirtree|dirmeta|filez|file)", name), name


def oci_image(data: bytes) -> None:
    """Any documents of an image, whose digests and sizes are filled in: `$0` to `$9` are the blobs before it."""
    blobs: list[tuple[str, bytes]] = []
    documents = data.split(CUT)[:10]
    for document in documents:
        for number, (digest, content) in enumerate(blobs):
            document = document.replace(
                b"$%d" % number, b'"digest": "%b", "size": %d' % (digest.encode(), len(content))
            )
        blobs.append((f"sha256:{hashlib.sha256(document).hexdigest()}", document))
        with suppress(ContentError):
            read_manifest(document, "manifest")
        with suppress(ContentError):
            read_descriptors(read_json(document, "index"), "index")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        names = [f"blobs/{digest.replace(':', '/')}" for digest, _ in blobs[:-1]]
        for name, (_, content) in zip([*names, "index.json"], blobs, strict=True):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    try:
        images = read_images(tar_parts(_written("image.tar", archive.getvalue()), "make it again"), "image")
    except ContentError as error:
        _check_reason(error)
        return
    assert images.images
    for image in (*images.images, *images.others):
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", layer.diff_id) for layer in image.layers)


CONTENT_TARGETS: Final = {
    "iso": iso_image,
    "medium": medium_files,
    "tar": tar_stream,
    "ostree_layer": ostree_layer,
    "gvariant": gvariant,
    "oci": oci_image,
}

"""The source of a release import: an archive written by `ocne`, a directory, or an unsupported file.

It is identified by its first bytes and files, never by its name; the error for an unsupported file has the cure.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.content.foreign_files import HEAD_BYTES, ISO, foreign_kind
from netboot.content.library.disk import tree_size
from netboot.content.oci.bundle import Part, directory_parts, tar_parts
from netboot.content.oci.image import Image, read_image
from netboot.content.ostree.repository import read_ref
from netboot.errors import ContentError

_OCNE: Final = "ocne image create --type ostree"
_REPOSITORY_BELOW: Final = ("", "ostree", "repo", "usr/share/nginx/html/ostree")  # of the given directory
_ARCHITECTURES: Final = ("amd64", "arm64")


class OstreeImageError(ContentError):
    """The source is the OCK image itself, which another command imports."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A directory that is an OSTree archive; `digest` is its commit."""

    root: Path
    digest: str

    @property
    def size_bytes(self) -> int:
        return tree_size(self.root)


def open_source(path: Path) -> Image | Repository:
    """Identify and open the source at `path`; raise ContentError if it is neither an image nor an OSTree archive."""
    if path.is_dir() and (root := repository_in(path)) is not None:
        return Repository(root, f"ostree:{read_ref(root, str(root))[1]}")
    image = read_image(container_parts(path, "an OSTree archive: it has no config and objects", _OCNE), path.name)
    if "ostree.commit" in image.labels:
        raise OstreeImageError(f"{path.name} is the OCK image itself; netboot content import-image FILE")
    return image


def repository_in(path: Path) -> Path | None:
    """Return where a directory has an OSTree archive; None if it has none, or is a container image."""
    if is_container(path):
        return None
    roots = (path / below for below in _REPOSITORY_BELOW)
    return next((root for root in roots if (root / "config").is_file() and (root / "objects").is_dir()), None)


def is_container(directory: Path) -> bool:
    return (directory / "index.json").is_file() or (directory / "manifest.json").is_file()


def container_parts(path: Path, directory: str, make: str) -> dict[str, Part]:
    """List the files of a container image, a tar or a directory; raise ContentError for anything else.

    For messages: what a directory of another kind is not, and the command that makes what is imported.
    """
    if path.is_dir():
        return _directory_parts(path, directory, make)
    if not path.exists():
        raise ContentError(_not_there(path))
    if path.is_fifo():
        raise ContentError(f"{path} is a pipe, and an archive is read more than once; write it to a file first")
    head = Part(path, 0, HEAD_BYTES).read(HEAD_BYTES)
    if len(head) < 512:
        raise ContentError(f"{path} has {len(head)} bytes and is not an archive; was the disk full? {make}")
    if foreign := _foreign(head, make):
        raise ContentError(f"{path} is {foreign}")
    parts = tar_parts(path, make)
    if "config" in parts and any(name.startswith(("objects/", "refs/")) for name in parts):
        raise ContentError(
            f"{path} is a tar of an OSTree repository; unpack it, and import the directory: "
            "netboot content import-archive DIR"
        )
    if "index.json" not in parts and any(name.endswith(".oci") for name in parts):
        raise ContentError(f"{path} is an archive of several images; netboot content import-images FILE")
    return parts


def default_name(path: Path, architecture: str) -> str:
    """Derive the name of a release from its file: `ock-1.31-amd64-ostree.tar` is `ock-1.31-amd64`.

    The architecture is that of the image, whatever the file name contains.
    """
    name = path.resolve().name
    for ending in (".tar", "-ostree"):
        name = name.removesuffix(ending)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    if architecture in _ARCHITECTURES:
        (other,) = set(_ARCHITECTURES) - {architecture}
        name = re.sub(rf"\b{other}\b", architecture, name)
    return name


def _directory_parts(path: Path, directory: str, make: str) -> dict[str, Part]:
    if is_container(path):
        return directory_parts(path)
    if (path / "overlay-images").is_dir() or (path / "overlay").is_dir():
        raise ContentError(f"{path} is Podman's storage; podman save --format=oci-archive -o ock-ostree.tar NAME")
    raise ContentError(f"{path} is not {directory}; {make}")


def _not_there(path: Path) -> str:
    text = str(path)
    if named := re.fullmatch(r"docker:/+([\w.-]+(:\d+)?(/[\w.-]+)+([:@][\w.:-]+)?)", text):
        return (
            f"there is no file {text}; copy the image into one: skopeo copy docker://{named[1]} oci-archive:ock.tar, "
            "and import that file"
        )
    if re.fullmatch(r"(containers-storage:)?[\w.-]+(:\d+)?(/[\w.-]+)+(:[\w.-]+)?", text) and ":" in text:
        return (
            f"there is no file {text}; it seems to be an image's name: "
            f"podman save --format=oci-archive -o ock-ostree.tar {text}, and import that file"
        )
    return f"there is no file {text}"


def _foreign(head: bytes, make: str) -> str | None:
    """Return what a file is that is not a tar, with the cure; None for a tar."""
    if kind := foreign_kind(head):
        return kind if kind == ISO else f"{kind} for a hypervisor; {make} creates the archive that is imported"
    if head[257:262] == b"ustar" or not any(head[:512]):
        return None
    for magic, program in ((b"\x1f\x8b", "gunzip"), (b"\x28\xb5\x2f\xfd", "unzstd"), (b"\xfd7zXZ\0", "unxz")):
        if head.startswith(magic):
            return (
                f"compressed as a whole; {program} it, and import the result (what ocne catalog mirror wrote stays as "
                "it is: netboot content import-images FILE)"
            )
    return f"not a tar; import the file that {make} wrote"

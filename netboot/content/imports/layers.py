"""Applies the layers of an image to the repository in it; all other members are skipped.

OCI image-spec v1.1 layer.md: `.wh.NAME` removes NAME of lower layers, `.wh..wh..opq` removes all that lower layers have
in its directory; a member replaces that of lower layers under its name. Everything outside the repository, for example
the build node's certificates, is never written.
"""

import errno
import posixpath
from typing import Final

from netboot.content.library.progress import Progress
from netboot.content.oci.image import Image, Layer, layer_chunks
from netboot.content.ostree.release_writer import ReleaseWriter
from netboot.content.tar_stream import DIRECTORY, HARD_LINK, REGULAR, ByteStream, TarMember, tar_members
from netboot.errors import ContentError

REPOSITORY: Final = "usr/share/nginx/html/ostree"  # where ocne's build creates it
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_NO_PLACE: Final = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def unpack(image: Image, writer: ReleaseWriter, source: str, *, progress: Progress) -> None:
    """Write the repository of an image; raise ContentError if a layer is damaged, or no layer has a repository."""
    progress.step(f"unpacking {source}", image.size_bytes)
    inside: set[str] = set()
    for number, layer in enumerate(image.layers, 1):
        try:
            inside |= _LayerOver(writer).unpack(layer, source, progress)
        except ContentError as error:
            if str(error).startswith(source):
                raise
            raise ContentError(
                f"{source}: layer {number} of {len(image.layers)} is damaged: {error}; "
                "copy the archive again, or make it again: ocne image create --type ostree"
            ) from error
    if not writer.file_count:
        raise ContentError(f"{source} has no {REPOSITORY}: {_kind_of_image(inside)}")


def _kind_of_image(inside: set[str]) -> str:
    if inside & {"sysroot", "ostree"}:
        return "it is the OCK image itself; netboot content import-image FILE"
    if "disk" in inside:
        return "it is a disk image in a container; make the archive: ocne image create --type ostree"
    return "it is another image; import the file that ocne image create --type ostree wrote"


class _LayerOver:
    """Applies one layer to those below it."""

    def __init__(self, writer: ReleaseWriter) -> None:
        self._writer = writer
        self._own: set[str] = set()  # members of this layer: its whiteouts remove only members of lower layers

    def unpack(self, layer: Layer, source: str, progress: Progress) -> set[str]:
        """Write its part of the repository; return the names at the root of the layer."""
        stream = ByteStream(layer_chunks(layer, source, progress))
        inside = set()
        is_first = not self._writer.file_count
        for member in tar_members(stream):
            path = posixpath.normpath(member.name).lstrip("/")
            inside.add(path.partition("/")[0])
            try:
                if path.startswith(REPOSITORY + "/"):
                    self._take(path[len(REPOSITORY) + 1 :], member, stream, is_first=is_first)
                else:
                    self._remove_above(path, member)
                    stream.skip(member.size_bytes)
            except OSError as error:
                if error.errno not in _NO_PLACE:
                    raise
                raise ContentError(f"cannot write {path!r} ({error.strerror})") from error
        for _ in stream.rest():
            pass  # the digest is that of all bytes
        return inside

    def _take(self, path: str, member: TarMember, stream: ByteStream, *, is_first: bool) -> None:
        directory, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            self._writer.drop(_removed_by(directory, name), keep=self._own)
            stream.skip(member.size_bytes)
        elif member.kind in REGULAR:
            if not is_first:
                self._writer.drop_file(path)
            if self._writer.put(path, member.size_bytes, stream):
                self._own.add(path)
            else:
                stream.skip(member.size_bytes)
        elif member.kind == HARD_LINK:
            target = posixpath.normpath(member.link).lstrip("/").removeprefix(REPOSITORY + "/")
            self._writer.drop_file(path)
            self._writer.link(path, target)
            self._own.add(path)
        elif member.kind != DIRECTORY and path.startswith("objects/"):
            raise ContentError(f"{path!r} is not a regular file; objects of an archive must be")
        else:
            stream.skip(member.size_bytes)

    def _remove_above(self, path: str, member: TarMember) -> None:
        """Handle a whiteout or file that removes the repository or a directory above it."""
        directory, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            gone = _removed_by(directory, name)
        elif member.kind != DIRECTORY:
            gone = path  # a file replaces a directory
        else:
            return
        if not gone or f"{REPOSITORY}/".startswith(f"{gone}/"):
            self._writer.drop("", keep=self._own)


def _removed_by(directory: str, whiteout: str) -> str:
    """Return the path that a whiteout removes: a name in its directory, or the directory's whole content."""
    if whiteout == _OPAQUE:
        return directory
    hidden = whiteout.removeprefix(_WHITEOUT)
    if hidden in ("", ".", ".."):
        raise ContentError(f"{directory}/{whiteout} is a whiteout without a valid name")
    return f"{directory}/{hidden}" if directory else hidden

"""Lays an image's layers over each other, as far as they touch the repository in it.

OCI image-spec v1.1 layer.md: `.wh.NAME` takes NAME of lower layers away, `.wh..wh..opq` all that lower layers have in
its directory; a member replaces what lower layers have under its name. Everything else in the image (the build node's
certificates among it) is never written anywhere.
"""

import errno
import posixpath
from collections.abc import Callable
from typing import Final

from netboot.content.library.progress import Progress
from netboot.content.oci.image import Image, Layer, layer_chunks
from netboot.content.ostree.release_writer import ReleaseWriter
from netboot.content.tar_stream import DIRECTORY, HARD_LINK, REGULAR, ByteStream, TarMember, tar_members
from netboot.errors import ContentError

REPOSITORY: Final = "usr/share/nginx/html/ostree"  # where ocne's build makes it
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_NO_PLACE: Final = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def unpack(
    image: Image,
    writer: ReleaseWriter,
    source: str,
    *,
    progress: Progress,
    reader: Callable[[int, bytes], None] | None = None,
) -> None:
    """Write the repository of an image; raise ContentError where a layer is damaged, or no layer has a repository.

    `reader` is given what is read of the container's file, with its place there.
    """
    progress.step(f"unpacking {source}", sum(layer.part.size_bytes for layer in image.layers))
    inside: set[str] = set()
    for number, layer in enumerate(image.layers, 1):
        try:
            inside |= _LayerOver(writer).unpack(layer, source, progress, reader=reader)
        except ContentError as error:
            if str(error).startswith(source):
                raise
            raise ContentError(
                f"{source}: layer {number} of {len(image.layers)} is damaged: {error}; "
                "copy the archive again, or make it again: ocne image create --type ostree"
            ) from error
    if not writer.file_count:
        raise ContentError(f"{source} has no {REPOSITORY}: {_what_it_is(inside)}")


def _what_it_is(inside: set[str]) -> str:
    if inside & {"sysroot", "ostree"}:
        return "it is the OCK image itself; make the archive of it: ocne image create --type ostree"
    if "disk" in inside:
        return "it is a disk image in a container; make the archive: ocne image create --type ostree"
    return "it is another image; give what ocne image create --type ostree wrote"


class _LayerOver:
    """One layer that comes over those before it."""

    def __init__(self, writer: ReleaseWriter) -> None:
        self._writer = writer
        self._own: set[str] = set()  # members that this layer brought: its whiteouts mean only lower ones

    def unpack(
        self, layer: Layer, source: str, progress: Progress, *, reader: Callable[[int, bytes], None] | None
    ) -> set[str]:
        """Write its part of the repository; return the names at the root of the layer."""
        stream = ByteStream(layer_chunks(layer, source, progress, reader=reader))
        inside = set()
        is_first = not self._writer.file_count
        for member in tar_members(stream):
            path = posixpath.normpath(member.name).lstrip("/")
            inside.add(path.partition("/")[0])
            try:
                if path.startswith(REPOSITORY + "/"):
                    self._take(path[len(REPOSITORY) + 1 :], member, stream, is_first=is_first)
                else:
                    self._note_above(path, member)
                    stream.skip(member.size_bytes)
            except OSError as error:
                if error.errno not in _NO_PLACE:
                    raise
                raise ContentError(f"there is no place for {path!r} ({error.strerror})") from error
        stream.drain()
        return inside

    def _take(self, path: str, member: TarMember, stream: ByteStream, *, is_first: bool) -> None:
        directory, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            self._white_out(directory, name)
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
            raise ContentError(f"{path!r} is no regular file; an archive's objects are")
        else:
            stream.skip(member.size_bytes)

    def _white_out(self, directory: str, name: str) -> None:
        self._writer.drop(_taken_away(directory, name), keep=self._own)

    def _note_above(self, path: str, member: TarMember) -> None:
        """See whether a directory on the way to the repository, or the repository itself, is taken away."""
        directory, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            gone = _taken_away(directory, name)
        elif member.kind != DIRECTORY:
            gone = path  # a file in the place of a directory
        else:
            return
        if not gone or f"{REPOSITORY}/".startswith(f"{gone}/"):
            self._writer.drop("", keep=self._own)


def _taken_away(directory: str, whiteout: str) -> str:
    """Say what a whiteout in a directory means: a name in it, or all that is in it."""
    if whiteout == _OPAQUE:
        return directory
    hidden = whiteout.removeprefix(_WHITEOUT)
    if hidden in ("", ".", ".."):
        raise ContentError(f"{directory}/{whiteout} takes away nothing that has a name")
    return f"{directory}/{hidden}" if directory else hidden

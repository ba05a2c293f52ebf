"""Takes the objects of a commit out of the layers of an ostree container image. Never writes by an entry's path.

Below `sysroot/ostree/repo` (older form: `./sysroot…`) a layer has commits, dirtrees and dirmetas as they are, files
with owner and mode in the tar header, and before each file a link to its extended attributes in the same layer:
`objects/XX/….file-xattrs` and `….file-xattrs-link`; older form: `xattrs/SHA256` and `….file.xattrs`. All else are hard
links for plain container runtimes and are skipped (ostree-rs-ext: tar/export.rs, tar/import.rs).
Each object is verified by its name: it is as the commit has it, whoever wrote the layer.
"""

import hashlib
import io
import posixpath
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

from netboot.content.imports.ostree_image.file_object import FileObject, check_xattrs
from netboot.content.ostree.object_check import LARGEST_METADATA, check_object
from netboot.content.tar_stream import DIRECTORY, HARD_LINK, REGULAR, SYMLINK, ByteStream, TarMember, tar_members
from netboot.errors import ContentError

REPOSITORY: Final = "sysroot/ostree/repo"
LARGEST_XATTRS: Final = 1 << 20
MOST_OBJECTS: Final = 1_000_000  # an OCK release has some 50,000
_MOST_ENTRIES: Final = 4 * MOST_OBJECTS
MOST_REFERENCES: Final = MOST_OBJECTS  # from directories to their entries
_MOST_XATTRS_BYTES: Final = 64 << 20  # of all attributes of one layer
_OBJECT: Final = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})\.([a-z.-]+)")
_OLDER_XATTRS: Final = re.compile(r"xattrs/([0-9a-f]{64})")
_NO_XATTRS: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the SHA-256 of nothing
_WHITEOUT: Final = ".wh."
_METADATA: Final = ("commit", "commitmeta", "dirtree", "dirmeta")
_XATTRS_LINKS: Final = ("file-xattrs-link", "file.xattrs")
_LINK_MODES: Final = (0o777, stat.S_IFLNK | 0o777)  # that of every link of a commit


class FileSink(Protocol):
    """Takes files, and reads the content of each from the stream."""

    def put(self, found: FileObject, stream: ByteStream) -> None: ...


@dataclass(slots=True)
class ImageObjects:
    """What the layers of one image held so far. `write_metadata` writes a member of the archive."""

    commit: str  # that of the label
    files: FileSink
    write_metadata: Callable[[str, bytes], None]
    metadata: dict[str, int] = field(default_factory=dict)  # sizes by `<64 hex>.<kind>`
    refers: dict[str, list[str]] = field(default_factory=dict)
    object_count: int = 0
    reference_count: int = 0

    def count(self) -> None:
        self.object_count += 1
        if self.object_count > MOST_OBJECTS:
            raise ContentError(f"the image has more than {MOST_OBJECTS} objects, which no OCK image has")

    def add_references(self, name: str, refers: list[str]) -> None:
        self.reference_count += len(refers) if name not in self.refers else 0
        if self.reference_count > MOST_REFERENCES:
            raise ContentError(
                f"the directories of the image have more than {MOST_REFERENCES} entries, which no OCK image has"
            )
        self.refers[name] = refers


class LayerObjects:
    """Reads one layer. `where` names it in messages; it begins with `source`."""

    def __init__(self, found: ImageObjects, source: str, where: str) -> None:
        self._found = found
        self._source = source
        self._where = where
        self._seen: set[str] = set()
        self._xattrs: dict[str, bytes] = {}  # by path below the repository
        self._xattrs_bytes = 0
        self._pending: tuple[str, bytes] | None = None  # the file that is next, and its attributes
        self._is_older = self._is_newer = False

    def read(self, stream: ByteStream) -> None:
        """Take all objects of the layer; raise ContentError with layer and entry for what must not be in one."""
        for number, member in enumerate(tar_members(stream)):
            if number >= _MOST_ENTRIES:
                raise ContentError(f"{self._where} has more than {_MOST_ENTRIES} entries, which no OCK image has")
            path = self._path(member)
            if path is None:
                stream.skip(member.size_bytes)
                continue
            try:
                self._take(path, member, stream)
            except ContentError as error:
                if str(error).startswith(f"{self._source}: "):  # of this entry, or of an object before it
                    raise
                raise ContentError(f"{self._entry(member)}: {error}") from error
        if self._pending is not None:
            raise ContentError(
                f"{self._where} ends behind the extended attributes of {self._pending[0]} without that file"
            )
        for _ in stream.rest():
            pass  # the DiffID is that of all bytes

    def _entry(self, member: TarMember) -> str:
        return f"{self._where}, entry {member.name!r}"

    def _path(self, member: TarMember) -> str | None:
        """Return the path of an entry below the repository; None for an entry elsewhere."""
        name = member.name.rstrip("/")
        path = posixpath.normpath(name).lstrip("/")
        if _WHITEOUT in path and path.rpartition("/")[2].startswith(_WHITEOUT):
            raise ContentError(
                f"{self._entry(member)} removes a file of a layer below it: the image is derived from OCK's, and nodes "
                "cannot take it"
            )
        if not path.startswith(f"{REPOSITORY}/"):
            if f"{REPOSITORY}/".startswith(f"{path}/") and member.kind != DIRECTORY:
                self._refuse(member, "it is not a directory, and the repository is below it")
            return None
        if name.removeprefix("./") != path:
            self._refuse(member, "its path leads through other directories")
        return path[len(REPOSITORY) + 1 :]

    def _refuse(self, member: TarMember, what: str) -> NoReturn:
        raise ContentError(f"{self._entry(member)}: {what}")

    def _take(self, path: str, member: TarMember, stream: ByteStream) -> None:
        if path.partition("/")[0] == "xattrs":
            self._is_older = True
            if found := _OLDER_XATTRS.fullmatch(path):
                self._take_xattrs(path, found[1], member, stream)
                return
        if not path.startswith("objects/") or member.kind == DIRECTORY:
            stream.skip(member.size_bytes)  # config, refs, directories
            return
        named = _OBJECT.fullmatch(path)
        if named is None:
            self._refuse(member, "it is not the name of an object")
        if path in self._seen:
            self._refuse(member, "the layer has this object twice")
        self._seen.add(path)
        self._found.count()
        checksum, kind = named[1] + named[2], named[3]
        self._is_older |= kind == "file.xattrs"
        self._is_newer |= kind in ("file-xattrs", "file-xattrs-link")
        if kind in _METADATA:
            self._take_metadata(checksum, kind, member, stream)
        elif kind == "file-xattrs":
            self._take_xattrs(path, checksum, member, stream)
        elif kind in _XATTRS_LINKS:
            self._take_xattrs_link(checksum, member, stream)
        elif kind == "file":
            self._take_file(checksum, member, stream)
        else:
            self._refuse(member, f"an archive has no objects of the kind {kind!r}")

    def _content(self, member: TarMember, stream: ByteStream, most_bytes: int) -> bytes:
        if member.kind not in REGULAR or member.is_sparse:
            self._refuse(member, f"it is {_kind(member)}, and must be a regular file")
        if member.size_bytes > most_bytes:
            self._refuse(member, f"it has {member.size_bytes} bytes, and at most {most_bytes} are valid")
        return stream.take(member.size_bytes)

    def _take_metadata(self, checksum: str, kind: str, member: TarMember, stream: ByteStream) -> None:
        data = self._content(member, stream, LARGEST_METADATA)
        found, name = self._found, f"{checksum}.{kind}"
        if kind in ("commit", "commitmeta") and checksum != found.commit:
            self._refuse(
                member,
                f"the label ostree.commit of the image names the commit {found.commit}, and this is another; an image "
                "has one commit",
            )
        if kind != "commitmeta":  # its bytes have no checksum
            refers = check_object(name, io.BytesIO(data))
            if refers:
                found.add_references(name, refers)
        if name not in found.metadata:  # otherwise another layer has it too
            found.write_metadata(f"objects/{checksum[:2]}/{checksum[2:]}.{kind}", data)
            found.metadata[name] = len(data)

    def _take_xattrs(self, path: str, checksum: str, member: TarMember, stream: ByteStream) -> None:
        if path in self._xattrs:
            self._refuse(member, "the layer has these extended attributes twice")
        data = self._content(member, stream, LARGEST_XATTRS)
        if (actual := hashlib.sha256(data).hexdigest()) != checksum:
            self._refuse(member, f"its bytes have the checksum {actual}")
        check_xattrs(data)
        self._xattrs_bytes += len(data)
        if self._xattrs_bytes > _MOST_XATTRS_BYTES:
            self._refuse(member, f"the extended attributes of the layer have more than {_MOST_XATTRS_BYTES} bytes")
        self._xattrs[path] = data

    def _take_xattrs_link(self, checksum: str, member: TarMember, stream: ByteStream) -> None:
        if self._pending is not None:
            self._refuse(member, f"the file {self._pending[0]} must be behind its extended attributes")
        if member.kind in REGULAR:
            data = self._content(member, stream, LARGEST_XATTRS)
            check_xattrs(data)
        elif member.kind == HARD_LINK:
            target = posixpath.normpath(member.link).lstrip("/").removeprefix(f"{REPOSITORY}/")
            found = self._xattrs.get(target)
            if found is None:
                self._refuse(
                    member,
                    f"it is a link to {member.link!r}, and no attributes of this name are before it in the layer",
                )
            data = found
        else:
            self._refuse(member, f"it is {_kind(member)}, and must be a hard link to extended attributes")
        self._pending = (checksum, data)

    def _take_file(self, checksum: str, member: TarMember, stream: ByteStream) -> None:
        xattrs = self._xattrs_of(checksum, member)
        if member.kind == SYMLINK:
            if member.mode not in _LINK_MODES:
                self._refuse(member, f"it is a link with the mode {member.mode:o}, and links of a commit have 777")
            mode, target = stat.S_IFLNK | 0o777, member.link.encode("utf-8", "surrogateescape")
        elif member.kind in REGULAR and not member.is_sparse:
            mode, target = member.mode | stat.S_IFREG, b""
        else:
            self._refuse(member, f"it is {_kind(member)}, and must be a regular file or a symbolic link")
        entry = self._entry(member)
        found = FileObject(checksum, member.uid, member.gid, mode, target, xattrs, member.size_bytes, entry)
        self._found.files.put(found, stream)

    def _xattrs_of(self, checksum: str, member: TarMember) -> bytes:
        pending, self._pending = self._pending, None
        if pending is None:
            # the first exporters wrote no link for a file without attributes, and no empty attributes either
            if self._is_older and not self._is_newer and f"xattrs/{_NO_XATTRS}" not in self._xattrs:
                return b""
            self._refuse(member, "the link to its extended attributes (.file-xattrs-link) is missing before it")
        if pending[0] != checksum:
            self._refuse(member, f"the extended attributes before it are those of {pending[0]}")
        return pending[1]


def _kind(member: TarMember) -> str:
    if member.is_sparse:
        return "a sparse file"
    kinds = {HARD_LINK: f"a hard link to {member.link!r}", SYMLINK: "a symbolic link", DIRECTORY: "a directory"}
    return kinds.get(member.kind, f"an entry of the type {member.kind.decode('latin-1')!r}")

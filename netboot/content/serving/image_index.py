"""The images that machines pull, by the paths of an OCI registry. Maps a path below `/v2/` to a served file.

`find` reads memory and may be called on the loop; `find_new` reads the disk in threads. A repository may change at any
moment, so only blobs are found in memory, each after its first request. Nothing is kept of what does not exist: names
that machines invent fill no memory. No link below the content directory is followed.
OCI distribution-spec v1.1: "Pulling manifests", "Pulling blobs", "Listing Tags", "Error Codes".
"""

import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.library.disk import file_status
from netboot.content.serving.served_file import IMMUTABLE, NO_CACHE, OCTETS, ServedFile
from netboot.errors import ContentError
from netboot.model.image_name import is_digest, is_repository, is_tag
from netboot.model.release import ContentKind
from netboot.model.urls import REGISTRY_PREFIX

PULLED_FOR_S: Final = 600.0  # a pull without a request for this long has ended
MOST_TAGS: Final = 1_000  # in one answer; the client gets the others by the Link of each
API_VERSION: Final = ("Docker-Distribution-Api-Version", "registry/2.0")
_LONGEST_PATH: Final = 2048
_MOST_BLOBS: Final = 8192  # half a kilobyte each
_MOST_REPOSITORIES: Final = 256
_MOST_FIELDS: Final = 8  # of a query
_JSON: Final = "application/json"
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")  # RFC 6838 §4.2


class ImageFault(StrEnum):
    """Why the registry has nothing at a path: a code of distribution-spec."""

    NAME_INVALID = "NAME_INVALID"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    BLOB_UNKNOWN = "BLOB_UNKNOWN"


class ImagePart(StrEnum):
    """What of a repository is requested: the last but one part of the path."""

    MANIFEST = "manifests"
    BLOB = "blobs"
    TAGS = "tags"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What a path requests of a repository; `reference` is a tag, a digest or `list`, and may be neither."""

    repository: str
    part: ImagePart
    reference: str
    query: str = ""


def requested(url_path: str) -> ImageRequest | ImageFault:
    """Read a path below `/v2/`, as a client wrote it; the name of a repository has slashes of its own."""
    path, _, query = url_path.partition("?")
    names = path.removeprefix(REGISTRY_PREFIX).rsplit("/", 2)
    if len(path) > _LONGEST_PATH or len(names) != 3 or names[1] not in tuple(ImagePart):
        return ImageFault.NAME_UNKNOWN
    name, part, reference = names
    if not is_repository(name):
        return ImageFault.NAME_INVALID
    return ImageRequest(name, ImagePart(part), re.sub("%3a", ":", reference, flags=re.IGNORECASE), query)


class ImageIndex:
    """The images below one content directory."""

    def __init__(self, content: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start empty; nothing is read before it is requested. `monotonic` returns seconds."""
        self._monotonic = monotonic
        self._pulled_s: dict[str, float] = {}  # when each blob was requested last, in this order
        self._store = ImageStore(Path(os.path.realpath(content)))
        self._blobs: dict[str, ServedFile] = {}  # by digest, whatever repository a path names: no blob is secret
        self._repositories: dict[str, tuple[object, ImageRepository]] = {}  # each with what identifies its file

    def forget(self) -> None:
        """Read everything again at its next request."""
        self._blobs, self._repositories = {}, {}

    def pulled(self) -> list[str]:
        """List the blobs that machines requested a moment ago; these must not be deleted."""
        since_s = self._monotonic() - PULLED_FOR_S
        return [digest for digest, at_s in [*self._pulled_s.items()] if at_s >= since_s]

    def find(self, url_path: str) -> ServedFile | None:
        """Find a blob in memory."""
        digest = url_path.partition("?")[0].rpartition("/")[2]
        found = self._blobs.get(digest)
        if found is None:
            return None
        request = requested(url_path)
        if not isinstance(request, ImageRequest) or request.part is not ImagePart.BLOB:
            return None
        self._note_pull(digest)
        return found

    async def find_new(self, url_path: str) -> ServedFile | ImageFault:
        """Find on disk what a path requests. Raises ContentError if the repository is damaged."""
        if url_path.partition("?")[0] == REGISTRY_PREFIX:
            return _document({}, API_VERSION)
        request = requested(url_path)
        if isinstance(request, ImageFault):
            return request
        found = await asyncio.to_thread(self._read, request)
        if request.part is ImagePart.BLOB and isinstance(found, ServedFile):
            self._note_pull(request.reference)
        return found

    def _read(self, request: ImageRequest) -> ServedFile | ImageFault:
        if request.part is ImagePart.BLOB:
            return self._blob(request.reference) or ImageFault.BLOB_UNKNOWN
        repository = self._repository(request.repository)
        if repository is None:
            return ImageFault.NAME_UNKNOWN
        if request.part is ImagePart.MANIFEST:
            return self._manifest(repository, request.reference) or ImageFault.MANIFEST_UNKNOWN
        return _tag_list(repository, request.query) if request.reference == "list" else ImageFault.NAME_UNKNOWN

    def _blob(self, digest: str) -> ServedFile | None:
        self._blobs.pop(digest, None)
        if not is_digest(digest) or (found := self._on_disk(digest)) is None:
            return None
        path, size_bytes = found
        file = _addressed(path, size_bytes, digest, content_type=OCTETS, kind=ContentKind.IMAGE_BLOB)
        if len(self._blobs) >= _MOST_BLOBS:
            self._blobs = {}
        self._blobs[digest] = file
        return file

    def _note_pull(self, digest: str) -> None:
        self._pulled_s.pop(digest, None)
        self._pulled_s[digest] = self._monotonic()
        if len(self._pulled_s) > _MOST_BLOBS:
            self._pulled_s.pop(next(iter(self._pulled_s)), None)

    def _manifest(self, repository: ImageRepository, reference: str) -> ServedFile | None:
        if not is_tag(reference) and not is_digest(reference):
            return None
        digest = repository.digest_of(reference)
        if digest is None or (found := self._on_disk(digest)) is None:
            return None
        (path, size_bytes), stored = found, repository.manifests[digest]
        if size_bytes != stored.size_bytes:
            raise ContentError(
                f"{path} has {size_bytes} bytes, not {stored.size_bytes}: the manifest is damaged; "
                "remove it, and import its image again"
            )
        media_type = stored.media_type if _MEDIA_TYPE.fullmatch(stored.media_type) else OCTETS  # the image states it
        return _addressed(
            path,
            size_bytes,
            digest,
            content_type=media_type,
            kind=ContentKind.IMAGE_MANIFEST,
            owner=repository.name,
            member=reference,
            cache_control=IMMUTABLE if reference == digest else NO_CACHE,
        )

    def _on_disk(self, digest: str) -> tuple[Path, int] | None:
        """Return the path and the size of a blob."""
        path = self._store.blob_path(digest)
        status = file_status(path)
        return (path, status.st_size) if status is not None and _is_free_of_links(path) else None

    def _repository(self, name: str) -> ImageRepository | None:
        """Return a repository as it is on disk now; its file is read when it changed."""
        path = self._store.repository_path(name)
        status = file_status(path)
        if status is None:
            self._repositories.pop(name, None)
            return None
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._repositories.get(name)
        if known is not None and known[0] == identity:
            return known[1]
        found = self._store.repository(name) if _is_free_of_links(path) else None
        if found is not None:
            if len(self._repositories) >= _MOST_REPOSITORIES:
                self._repositories = {}
            self._repositories[name] = identity, found
        return found


def _is_free_of_links(path: Path) -> bool:
    return os.path.realpath(path) == str(path)


def _addressed(
    path: Path,
    size_bytes: int,
    digest: str,
    *,
    content_type: str,
    kind: ContentKind,
    owner: str = "",
    member: str = "",
    cache_control: str = IMMUTABLE,
) -> ServedFile:
    """Describe a file that is named by its digest."""
    fields = (("Docker-Content-Digest", digest),)
    return ServedFile(
        str(path), size_bytes, f'"{digest}"', content_type, cache_control, kind, owner, member, fields=fields
    )


def _document(value: object, *fields: tuple[str, str]) -> ServedFile:
    body = json.dumps(value).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    return ServedFile("", len(body), etag, _JSON, NO_CACHE, ContentKind.OTHER, body=body, fields=fields)


def _tag_list(repository: ImageRepository, query: str) -> ServedFile:
    """List the tags in the order of their bytes; `n` and `last` of the query select a page."""
    try:
        parameters: Mapping[str, Sequence[str]] = parse_qs(query, max_num_fields=_MOST_FIELDS)
    except ValueError:
        parameters = {}
    last, wanted = parameters.get("last", [""])[0], parameters.get("n", [""])[0]
    has_number = wanted.isascii() and wanted.isdigit()
    most = min(MOST_TAGS, int(wanted[:9])) if has_number else MOST_TAGS
    after = sorted(tag for tag in repository.tags if tag > last)
    page = after[:most]
    fields = []
    if page and len(page) < len(after):
        following = urlencode({"n": most, "last": page[-1]})
        fields.append(("Link", f'<{REGISTRY_PREFIX}{repository.name}/tags/list?{following}>; rel="next"'))
    return _document({"name": repository.name, "tags": page}, *fields)

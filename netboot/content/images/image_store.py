"""The images of the content directory: each blob once, and for each repository its tags and manifests.

    images/blobs/sha256/HEX                    a layer, configuration, manifest or index, named by its SHA-256
    images/repositories/NAME/_repository.json  which manifests belong to the repository, and what its tags name

A blob never changes. A repository's file is replaced by one rename, after the blobs that it names are on disk: after
kill -9 there may be blobs that nothing names, and never a name without its blob. Who changes something holds
`Library.changing()`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from netboot.content.library.disk import cannot_read, explaining_write_errors, file_status, sha256, sync
from netboot.errors import ContentError
from netboot.model.image_name import is_digest, is_repository, is_tag

IMAGES: Final = "images"
_FILE: Final = "_repository.json"  # no component of a repository's name begins with `_`
_LARGEST_FILE: Final = 16 << 20
_FILE_MODE: Final = 0o644
_DIRECTORY_MODE: Final = 0o755


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest or index of a repository."""

    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ImageRepository:
    """A repository: what its tags name, and its manifests by digest, also those that no tag names."""

    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    manifests: Mapping[str, StoredManifest] = field(default_factory=dict)

    def digest_of(self, reference: str) -> str | None:
        """Return the digest of the manifest that a tag or digest names; None if there is none."""
        digest = self.tags.get(reference, reference)
        return digest if digest in self.manifests else None

    def tags_of(self, digest: str) -> list[str]:
        """List the tags that name a manifest."""
        return sorted(tag for tag, named in self.tags.items() if named == digest)


@dataclass(frozen=True, slots=True)
class ImageStore:
    """The images below one content directory, which may not exist yet."""

    content: Path

    @property
    def root(self) -> Path:
        return self.content / IMAGES

    def blob_path(self, digest: str) -> Path:
        """Return the place of a blob; `digest` is `sha256:HEX`."""
        algorithm, _, checksum = digest.partition(":")
        return self.root / "blobs" / algorithm / checksum

    def repository_path(self, name: str) -> Path:
        """Return the file of a repository; `name` is one that `is_repository` accepts."""
        return self.root / "repositories" / name / _FILE

    def has_blob(self, digest: str) -> bool:
        return file_status(self.blob_path(digest)) is not None

    def has_sound_blob(self, digest: str, size_bytes: int) -> bool:
        """Return whether a blob is there and not damaged; one of this size is read for that."""
        with suppress(OSError):
            return self.blob_size(digest) == size_bytes and f"sha256:{sha256(self.blob_path(digest))}" == digest
        return False

    def blob_size(self, digest: str) -> int | None:
        """Return the size of a blob; None if it is missing."""
        status = file_status(self.blob_path(digest))
        return status.st_size if status is not None else None

    def blobs(self) -> Iterator[str]:
        """Yield the digest of each blob on disk."""
        try:
            names = sorted(path.name for path in (self.root / "blobs/sha256").iterdir())
        except FileNotFoundError:
            return
        yield from (digest for name in names if is_digest(digest := f"sha256:{name}"))

    def read_blob(self, digest: str, most_bytes: int) -> bytes:
        """Read a small blob; raise ContentError if it is missing or larger than `most_bytes`."""
        path = self.blob_path(digest)
        try:
            with path.open("rb") as file:
                data = file.read(most_bytes + 1)
        except OSError as error:
            raise cannot_read(path, error) from error
        if len(data) > most_bytes:
            raise ContentError(f"{path} is larger than {most_bytes} bytes and is no manifest; import its image again")
        return data

    def repositories(self) -> list[ImageRepository]:
        """Read all repositories, sorted by name; raise ContentError if one cannot be read."""
        return [found for name in self.names() if (found := self.repository(name)) is not None]

    def names(self) -> list[str]:
        """List the names of the repositories."""
        top = self.root / "repositories"
        return sorted(path.parent.relative_to(top).as_posix() for path in top.rglob(_FILE))

    def repository(self, name: str) -> ImageRepository | None:
        """Read one repository; None if there is none of this name. Raises ContentError if its file is damaged."""
        if not is_repository(name):
            return None
        path = self.repository_path(name)
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST_FILE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise cannot_read(path, error) from error
        try:
            return _repository(name, json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ContentError(f"{path} is damaged ({error}); remove it, and import the images again") from error

    def changed_at(self, name: str) -> datetime | None:
        """Return when a tag or manifest of a repository was written or removed last; None if there is none."""
        status = file_status(self.repository_path(name))
        return datetime.fromtimestamp(status.st_mtime, UTC) if status is not None else None

    def put_blob(self, staged: Path, digest: str) -> None:
        """Move a verified file of a staging directory to its place; a sound one that is there already stays."""
        place = self.blob_path(digest)
        with explaining_write_errors(self.content):
            if file_status(place) is None:
                self._make_directory(place.parent)
                staged.chmod(_FILE_MODE)
                staged.rename(place)
            elif self.has_sound_blob(digest, staged.stat().st_size):
                staged.unlink()
            else:
                self.replace_blob(staged, digest)

    def replace_blob(self, staged: Path, digest: str) -> None:
        """Put a verified file in the place of a damaged blob, at once."""
        with explaining_write_errors(self.content):
            staged.chmod(_FILE_MODE)
            sync(staged)
            staged.replace(self.blob_path(digest))
            sync(self.blob_path(digest).parent)

    def remove_blob(self, digest: str) -> None:
        with explaining_write_errors(self.content):
            self.blob_path(digest).unlink(missing_ok=True)

    def record(
        self, name: str, *, tags: Mapping[str, str], manifests: Mapping[str, StoredManifest], staging: Path
    ) -> None:
        """Add manifests to a repository, and set tags; call it when all blobs of the manifests are in place."""
        known = self.repository(name) or ImageRepository(name)
        self.replace(ImageRepository(name, {**known.tags, **tags}, {**known.manifests, **manifests}), staging)

    def replace(self, repository: ImageRepository, staging: Path) -> None:
        """Write a repository in one step, by way of a file in `staging`; one without manifests is removed."""
        place = self.repository_path(repository.name)
        with explaining_write_errors(self.content):
            if not repository.manifests:
                self._remove(place)
                return
            text = json.dumps(_written(repository), indent=1, sort_keys=True) + "\n"
            if len(text) >= _LARGEST_FILE:
                raise ContentError(
                    f"{repository.name} would have {len(repository.tags)} tags and {len(repository.manifests)} "
                    f"manifests, more than fit into {_LARGEST_FILE} bytes; remove some: netboot content remove, and gc"
                )
            self._make_directory(place.parent)
            if (blobs := self.root / "blobs/sha256").is_dir():
                sync(blobs)
            new = staging / _FILE
            new.write_text(text)
            new.chmod(_FILE_MODE)
            sync(new)
            new.rename(place)
            sync(place.parent)

    def _remove(self, place: Path) -> None:
        place.unlink(missing_ok=True)
        for parent in place.parents:
            if parent == self.root or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()

    def _make_directory(self, directory: Path) -> None:
        """Make a directory below `images` that the daemon, another user, reads, whatever the umask is."""
        missing = [each for each in (directory, *directory.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir()
            if each.is_relative_to(self.root):
                each.chmod(_DIRECTORY_MODE)
            sync(each.parent)


def _repository(name: str, read: Any) -> ImageRepository:
    manifests = {
        digest: StoredManifest(str(each["media_type"]), int(each["size_bytes"]))
        for digest, each in read["manifests"].items()
        if is_digest(digest)
    }
    tags = {tag: digest for tag, digest in read["tags"].items() if is_tag(tag) and digest in manifests}
    return ImageRepository(name, tags, manifests)


def _written(repository: ImageRepository) -> dict[str, Any]:
    manifests = {digest: asdict(each) for digest, each in repository.manifests.items()}
    return {"tags": dict(repository.tags), "manifests": manifests}

"""Imports an ostree container image as a release and as an image. Blocks for minutes.

The blobs are kept as they are for the registry; from the layers each object of the commit is rebuilt and verified by
its name. Written in this order: blobs, releases, the repository's file; so a kill leaves no name without its content,
and importing again continues. A release never changes: another commit under its name is refused.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from netboot.content.images.image_store import ImageStore, StoredManifest
from netboot.content.imports.archive_import import ImportedRelease, imported_release
from netboot.content.imports.archive_source import container_parts, repository_in
from netboot.content.imports.ostree_image.image_blobs import ImageBlobs
from netboot.content.imports.ostree_image.image_names import ImageNames, names_of
from netboot.content.imports.ostree_image.image_tags import chosen_tags
from netboot.content.imports.ostree_image.ostree_images import (
    COPY,
    COPY_AGAIN,
    as_oci,
    check_media_types,
    checked_commit,
    layer_name,
)
from netboot.content.imports.ostree_image.release_build import ReleaseBuild, UnpackLimit
from netboot.content.library.disk import (
    explaining_import_errors,
    explaining_write_errors,
    megabytes,
    sync_file_system,
    tree_size,
)
from netboot.content.library.library import Library, LibraryEntry, Staging
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.library.record import NAME as RECORD
from netboot.content.library.record import Record
from netboot.content.oci.image import Image, ImageDocument, ImageSet, read_images
from netboot.content.ostree.object_table import write_index
from netboot.content.ostree.repository import read_ref
from netboot.errors import ContentError
from netboot.model.image_name import ImageName
from netboot.model.release import EntryKind


@dataclass(frozen=True, slots=True)
class ImportedOstreeImage:
    """An image that is in the library now, and its releases: one for each architecture. `name` is the first one's."""

    name: str
    is_new: bool
    image: str  # `olcne/ock-ostree@sha256:…`: the index, or the manifest if there is no index
    tags: tuple[str, ...]
    releases: tuple[ImportedRelease, ...]
    notes: tuple[str, ...] = ()


def import_ostree_image(
    library: Library,
    path: Path,
    name: str | None = None,
    *,
    image: ImageName | None = None,
    now: datetime,
    progress: Progress = NO_PROGRESS,
) -> ImportedOstreeImage:
    """Bring an image into the library as the release `name`; raise ContentError with layer, entry, reason and cure.

    The default name is that of the file. `image` names the repository, and a tag, instead of those in the archive.
    """
    with explaining_import_errors(path):
        if path.is_dir() and repository_in(path) is not None:
            raise ContentError(f"{path.name} is an OSTree archive; netboot content import-archive DIR")
        images = _images_in(path)
        commits = tuple(checked_commit(each, path.name) for each in images.images)
        check_media_types(images, path.name)
        is_made = any(each.manifest is None for each in images.images)
        images = replace(images, images=tuple(map(as_oci, images.images)))
        names = names_of(path, images, name, image)
        with library.changing() as staging:
            job = _OstreeImport(
                staging, ImageStore(library.directory), path.resolve().name, images, names, now, progress
            )
            done = job.run(commits)
    if is_made:
        note = "it is a docker-archive, which has no manifest: one was made, and its digest is not that of the registry"
        done = replace(done, notes=(note, *done.notes))
    return done


def _images_in(path: Path) -> ImageSet:
    parts = container_parts(path, "a container image: it has no index.json and no manifest.json", COPY)
    return read_images(parts, path.name, COPY_AGAIN)


def unpacked_release(staging: Staging, path: Path, commit: str, *, progress: Progress) -> Path:
    """Unpack the image that has this commit into staging, every object verified; return the directory."""
    images = _images_in(path).images
    found = next((as_oci(image) for image in images if checked_commit(image, path.name) == commit), None)
    if found is None:
        raise ContentError(f"{path.name} has not the commit {commit} of the release; use the image that was imported")
    store = ImageStore(staging.library.directory)
    progress.step(f"unpacking {path.name}", found.size_bytes)
    with ImageBlobs(staging.directory / "blobs", store, check_reserve=staging.check_reserve) as blobs:
        _request_layers(blobs, found, path.name)
        root = staging.make("unpacked")
        ReleaseBuild(root, path.name, blobs, (), UnpackLimit(staging.directory), staging, progress).run(found, commit)
    return root


def _request_layers(blobs: ImageBlobs, image: Image, source: str) -> None:
    for number, layer in enumerate(image.layers, 1):
        blobs.request(
            layer,
            f"{source}: {layer_name(image, number)} is damaged: its blob {layer.digest} has the checksum {{found}}; "
            f"{COPY_AGAIN}",
        )


@dataclass(slots=True)
class _OstreeImport:
    staging: Staging
    store: ImageStore
    source: str
    images: ImageSet
    names: ImageNames
    now: datetime
    progress: Progress

    def run(self, commits: tuple[str, ...]) -> ImportedOstreeImage:
        existing = [self._existing(*each) for each in zip(self.names.releases, commits, strict=True)]
        tags, notes = chosen_tags(self.staging.library, self.store, self.names, self.images)
        if all(existing):
            self.progress.step(f"verifying the blobs of {self.source} that are here", 0)
            if self._is_whole(tags):
                there = [self._known(each) for each in existing if each is not None]
                return self._imported(there, tags, notes, is_new=False)
        donors = self._donors()
        total = sum(image.size_bytes for image in self._all())
        self.staging.check_space(2 * total - tree_size(*donors), self.source)
        limit = UnpackLimit(self.staging.directory)
        done: list[ImportedRelease] = []
        made: list[tuple[Path, str]] = []
        with explaining_write_errors(self.staging.library.directory):
            with ImageBlobs(
                self.staging.directory / "blobs", self.store, check_reserve=self.staging.check_reserve
            ) as blobs:
                self._request(blobs)
                for image, commit, known, name in zip(
                    self.images.images, commits, existing, self.names.releases, strict=True
                ):
                    root = self.staging.make(f"release-{name}")
                    build = ReleaseBuild(root, self.source, blobs, donors, limit, self.staging, self.progress)
                    release = self._build(image, commit, name, build)
                    if known is None:
                        made.append((root, name))
                    done.append(replace(release, is_new=known is None))
                self.progress.step(f"writing {self.source} to disk", 0)
                blobs.put()
            for root, name in made:
                self.staging.publish(root, EntryKind.RELEASE, name)
            if not made:
                sync_file_system(self.store.root)
            self._note_image(existing)
            self.store.record(
                self.names.repository, tags=tags, manifests=self._manifests(), staging=self.staging.directory
            )
        return self._imported(done, tags, notes, is_new=True)

    def _all(self) -> tuple[Image, ...]:
        return (*self.images.images, *self.images.others)

    def _donors(self) -> list[Path]:
        """List the releases whose objects may be linked, with what a killed import had written; its blobs go."""
        before = []
        for path in self.staging.take_over():
            if (path / "objects").is_dir():
                before.append(path)
            else:
                shutil.rmtree(path, ignore_errors=True)
        if reused_bytes := tree_size(*before):
            self.progress.step(f"continuing from {megabytes(reused_bytes)} of an interrupted import", reused_bytes)
            self.progress.advance(reused_bytes)
        known = self.staging.library.entries()
        return [*before, *(each.path for each in known if each.kind is EntryKind.RELEASE and not each.alias_of)]

    def _existing(self, name: str, commit: str) -> LibraryEntry | None:
        """Find the release of this name; raise ContentError if it has another commit."""
        existing = self.staging.library.importable(EntryKind.RELEASE, name)
        if existing is not None and (other := read_ref(existing.path, name)[1]) != commit:
            raise ContentError(
                f"release {name} exists already with commit {other[:12]}, and {self.source} has {commit[:12]}; "
                "a release never changes: choose another name by --name"
            )
        return existing

    def _is_whole(self, tags: dict[str, str]) -> bool:
        """Return whether an earlier import of this image was complete, and none of its blobs is damaged: it is read."""
        stored = self.store.repository(self.names.repository)
        manifests = self._manifests()
        return (
            stored is not None
            and manifests.keys() <= stored.manifests.keys()
            and tags.items() <= stored.tags.items()
            and all(self.store.has_sound_blob(*each) for each in self._blob_sizes())
        )

    def _blob_sizes(self) -> Iterator[tuple[str, int]]:
        for blob in self._documents():
            yield blob.digest, len(blob.data)
        for image in self._all():
            for layer in image.layers:
                yield str(layer.digest), layer.part.size_bytes

    def _documents(self) -> Iterator[ImageDocument]:
        """Yield indexes, manifests and configurations."""
        if self.images.index is not None:
            yield self.images.index
        yield from self.images.inner_indexes
        for image in self._all():
            yield image.config
            if image.manifest is not None:
                yield image.manifest

    def _manifests(self) -> dict[str, StoredManifest]:
        indexes = (*self.images.inner_indexes, *((self.images.index,) if self.images.index else ()))
        manifests = (image.manifest for image in self._all() if image.manifest is not None)
        return {each.digest: StoredManifest(each.media_type, len(each.data)) for each in (*indexes, *manifests)}

    def _request(self, blobs: ImageBlobs) -> None:
        for blob in self._documents():
            blobs.add(blob)
        for image in self._all():
            _request_layers(blobs, image, self.source)

    def _build(self, image: Image, commit: str, name: str, build: ReleaseBuild) -> ImportedRelease:
        """Write and verify the release of one image in staging."""
        self.progress.step(f"unpacking {name}", image.size_bytes)
        built = build.run(image, commit)
        record = Record(
            source=self.source,
            source_digest=image.digest,
            content_digest=image.digest,
            imported_at=self.now.isoformat(timespec="seconds"),
            architecture=image.architecture,
            ref=built.check.ref,
            commit=commit,
            object_count=built.check.object_count,
            pull_count=built.check.pull_count,
            size_bytes=built.size_bytes,
            image=self._image_of(image.digest),
        )
        record.write(build.root)
        write_index(build.root)
        return imported_release(name, record, is_new=True, linked_bytes=built.linked_bytes)

    def _image_of(self, digest: str) -> str:
        return f"{self.names.repository}@{digest}"

    def _note_image(self, existing: list[LibraryEntry | None]) -> None:
        """Write the image into the record of a release that was imported before as an archive."""
        for entry, image in zip(existing, self.images.images, strict=True):
            record = entry.record if entry is not None else None
            if entry is not None and record is not None and not record.image:
                replace(record, image=self._image_of(image.digest)).write(self.staging.directory)
                (self.staging.directory / RECORD).replace(entry.path / RECORD)

    def _known(self, entry: LibraryEntry) -> ImportedRelease:
        record = entry.record
        assert record is not None
        return imported_release(entry.name, record, is_new=False, linked_bytes=record.size_bytes)

    def _imported(
        self, releases: list[ImportedRelease], tags: dict[str, str], notes: tuple[str, ...], *, is_new: bool
    ) -> ImportedOstreeImage:
        image = self._image_of(self.images.digest)
        return ImportedOstreeImage(releases[0].name, is_new, image, tuple(sorted(tags)), tuple(releases), notes)

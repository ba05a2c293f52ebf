"""Reads which commits the images and releases of the library are. Blocks: call it in a thread."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.images.image_walk import walk_stored
from netboot.content.library.library import Library, LibraryEntry
from netboot.content.ostree.commit_facts import commit_facts
from netboot.content.ostree.repository import commit_named
from netboot.errors import ContentError
from netboot.model.image_name import OCK_REPOSITORY
from netboot.model.release import EntryKind
from netboot.operate.updates.updates_board import KnownCommit, OfferedContent


def read_offered(directory: Path, *, address: str = "") -> OfferedContent:
    """Read the tags of OCK images and the releases below the content directory; what cannot be read is a fault.

    `address` is that of the repository as nodes have it.
    """
    faults: list[str] = []
    releases = _releases(directory, faults)
    store, by_commit = ImageStore(directory), {each.commit: each for each in releases.values()}
    repository = _repository(store, faults)
    tags: dict[str, Sequence[KnownCommit]] = {}
    for tag, digest in sorted(repository.tags.items()):
        try:
            commits = walk_stored(digest, repository.manifests[digest], store).commits
        except ContentError as error:
            faults.append(f"{repository.name}:{tag}: {error}")
            continue
        if commits:
            tags[tag] = [by_commit.get(commit, KnownCommit(commit)) for commit in commits]
    return OfferedContent(repository.name, tags, releases, store.changed_at(repository.name), address, faults)


def _repository(store: ImageStore, faults: list[str]) -> ImageRepository:
    try:
        return store.repository(OCK_REPOSITORY) or ImageRepository(OCK_REPOSITORY)
    except ContentError as error:
        faults.append(str(error))
        return ImageRepository(OCK_REPOSITORY)


def _releases(directory: Path, faults: list[str]) -> Mapping[str, KnownCommit]:
    """Return what each release and alias is; an alias is the release that it leads to."""
    try:
        entries = [each for each in Library(directory).entries() if each.kind is EntryKind.RELEASE]
    except ContentError as error:
        faults.append(str(error))
        return {}
    known = {each.name: _known(directory, each) for each in entries if each.alias_of is None}
    aliases = {each.name: known.get(each.alias_of) for each in entries if each.alias_of is not None}
    return {name: found for name, found in {**known, **aliases}.items() if found is not None}


def _known(directory: Path, entry: LibraryEntry) -> KnownCommit | None:
    commit = commit_named(directory, entry.name)
    if commit is None:
        return None
    facts = commit_facts(entry.path, commit)
    return KnownCommit(commit, entry.name, facts.version, facts.dated)

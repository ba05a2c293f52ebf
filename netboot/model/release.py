"""What a machine boots and installs: a boot medium and a release of the operating system."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class EntryKind(StrEnum):
    """Boot medium or release; the value is its directory below the content directory."""

    MEDIUM = "media"
    RELEASE = "ostree"

    @property
    def word(self) -> str:
        return "boot medium" if self is EntryKind.MEDIUM else "release"

    @property
    def other(self) -> "EntryKind":
        """The kind that must not have an entry of the same name."""
        return EntryKind.RELEASE if self is EntryKind.MEDIUM else EntryKind.MEDIUM

    def path(self, content: Path, name: str) -> Path:
        return content / self / name


@dataclass(frozen=True, slots=True)
class RemoteRelease:
    """A release on another server: a ref of the OSTree archive at `url`, which has no slash at its end."""

    url: str
    ref: str

    def __str__(self) -> str:
        """Return it as messages and the record of an arming have it; no name of a local release has `://`."""
        return f"{self.ref} of {self.url}"


EntryName = tuple[EntryKind, str]


class ContentKind(StrEnum):
    """A served file as the timeline of a boot names it."""

    KERNEL = "kernel"
    INITRD = "initrd"
    STAGE2 = "stage2"
    TREEINFO = "treeinfo"
    OSTREE_OBJECT = "ostree-object"
    IMAGE_MANIFEST = "image-manifest"
    IMAGE_BLOB = "image-blob"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Release:
    """An OSTree archive below `/ostree/{name}/`: its ref, the commit it names, and how many objects that reaches."""

    name: str
    ref: str
    commit: str
    object_count: int
